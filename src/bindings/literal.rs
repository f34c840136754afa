//! Values from the sandbox: the `repr()` of something, which may be anything, as the literal it is.

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyString;

/// Longer than this stays text.
const MAX: usize = 64 * 1024;
/// Brackets within brackets.
const MAX_DEPTH: usize = 64;
/// Signs of one number: `(-1e-05-2e-05j)` has four.
const MAX_SIGNS: usize = 4;

/// The value whose `repr()` this is, if it is a literal, else the text.
pub(super) fn value<'py>(py: Python<'py>, repr: &str) -> PyResult<Bound<'py, PyAny>> {
    static LITERAL_EVAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    if repr.len() <= MAX && is_flat(repr) {
        match LITERAL_EVAL.import(py, "ast", "literal_eval")?.call1((repr,)) {
            Ok(value) => return Ok(value),
            Err(error) if !error.is_instance_of::<PyException>(py) => return Err(error),
            // It only looked like one.
            Err(_) => {}
        }
    }
    Ok(PyString::new(py, repr).into_any())
}

/// Whether a text is made of literals only, and so shallow that no parser runs out of stack on it.
/// Python's own parser is not to be given whatever a sandbox wrote: operators, attributes and calls
/// nest without brackets.
fn is_flat(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut signs, mut after_value) = (0, 0usize, 0usize, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b' ' => {}
            b',' | b':' => (signs, after_value) = (0, false),
            b'(' | b'[' | b'{' if !after_value && depth < MAX_DEPTH => {
                (depth, signs) = (depth + 1, 0)
            }
            b')' | b']' | b'}' if depth > 0 => (depth, after_value) = (depth - 1, true),
            b'+' | b'-' if signs < MAX_SIGNS => (signs, after_value) = (signs + 1, false),
            b'\'' | b'"' => match string_end(bytes, at) {
                Some(end) => (at, after_value) = (end, true),
                None => return false,
            },
            b'b' if matches!(bytes.get(at + 1), Some(b'\'' | b'"')) => {}
            b'0'..=b'9' | b'.' if !after_value => {
                let end =
                    bytes[at..].iter().position(|b| !matches!(b, b'0'..=b'9' | b'.' | b'e' | b'j'));
                at = end.map_or(bytes.len(), |length| at + length) - 1;
                after_value = true;
            }
            b'a'..=b'z' | b'A'..=b'Z' if !after_value => {
                let word = ["None", "True", "False", "set()"]
                    .into_iter()
                    .find(|word| bytes[at..].starts_with(word.as_bytes()));
                let Some(word) = word else { return false };
                at += word.len() - 1;
                after_value = true;
            }
            // The exponent's sign ended the number.
            _ => return false,
        }
        at += 1;
    }
    depth == 0
}

/// Where the string that starts at `start` has its closing quote. `None` if it has none, or an
/// escape that `repr()` doesn't write.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes[start];
    let mut at = start + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => match bytes.get(at + 1)? {
                b'\\' | b'\'' | b'"' | b'n' | b'r' | b't' | b'x' | b'u' | b'U' => at += 2,
                _ => return None,
            },
            b'\n' | b'\r' | 0 => return None,
            byte if byte == quote => return Some(at),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_flat;

    #[test]
    fn literals_are_flat() {
        for text in [
            "4", "-1", "1.5e-07", "(-1e-05-2e-05j)", "'a[[['", "b'\\x00'", "\"it's\"",
            "[1, [2, {3: 'x'}]]", "{'a': None, 'b': True}", "set()", "()", "(1,)", "{1, 2}",
            "[set(), False]", "1e+20", "'\\ud800'",
        ] {
            assert!(is_flat(text), "{text}");
        }
    }

    #[test]
    fn code_is_not() {
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        let minus = "-".repeat(5000) + "1";
        let sum = vec!["1"; 5000].join("+");
        let attributes = "1".to_owned() + &".real".repeat(5000);
        let calls = "set".to_owned() + &"()".repeat(5000);
        let subscripts = "[1]".repeat(5000);
        for text in [
            &deep, &minus, &sum, &attributes, &calls, &subscripts, "<object at 0x7f>", "a",
            "not 1", "1 if 1 else 2", "f'{x}'", "[i for i in x]", "'open", "'\\N{DIGIT ONE}'",
            "1\n2", "x.y", "lambda: 1", "1 1", "(1)(2)", "1 < 2", "*a", "1;2", "'a'.b",
            "datetime.date(2024, 1, 1)",
        ] {
            assert!(!is_flat(text), "{}", &text[..text.len().min(40)]);
        }
    }
}
