//! Which language a file is in.

use std::ffi::OsStr;
use std::path::Path;

/// The language by the file's extension, or else by the interpreter on its first line.
pub(super) fn guess(path: &Path, code: &[u8]) -> Option<&'static str> {
    const EXTENSIONS: &[(&str, &str)] = &[
        ("py", "python"),
        ("pyw", "python"),
        ("sh", "shell"),
        ("bash", "shell"),
        ("js", "node"),
        ("mjs", "node"),
        ("cjs", "node"),
        ("ts", "node"),
        ("rs", "rust"),
        ("go", "go"),
    ];
    const INTERPRETERS: &[(&str, &str)] = &[
        ("python", "python"),
        ("sh", "shell"),
        ("bash", "shell"),
        ("dash", "shell"),
        ("node", "node"),
    ];
    let find = |table: &[(&str, &'static str)], name: &str| {
        table.iter().find(|(known, _)| *known == name).map(|(_, language)| *language)
    };
    let extension = path.extension().and_then(OsStr::to_str);
    if let Some(language) = extension.and_then(|extension| find(EXTENSIONS, extension)) {
        return Some(language);
    }
    let line = code.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let base = |word: &'_ str| word.rsplit('/').next().unwrap_or(word).to_owned();
    let mut interpreter = base(words.next()?);
    if interpreter == "env" {
        interpreter = base(words.find(|word| !word.starts_with('-') && !word.contains('='))?);
    }
    find(INTERPRETERS, interpreter.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_guessed_by_name_then_by_first_line() {
        let guess = |path: &str, code: &str| guess(Path::new(path), code.as_bytes());
        assert_eq!(guess("a.py", ""), Some("python"));
        assert_eq!(guess("a.sh", "#!/usr/bin/python3"), Some("shell"));
        assert_eq!(guess("a", "#!/usr/bin/python3.12\n"), Some("python"));
        assert_eq!(guess("-", "#! /usr/bin/env -S A=1 bash -e\n"), Some("shell"));
        assert_eq!(guess("a.txt", "#!/bin/sh"), Some("shell"));
        for none in ["", "echo", "#!", "#!/usr/bin/env", "#!/usr/bin/perl"] {
            assert_eq!(guess("a", none), None, "{none:?}");
        }
    }
}
