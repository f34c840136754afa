//! Writing JSON: the few shapes that the command line prints.

use std::fmt::Write;

/// A value to print.
#[cfg_attr(not(feature = "cli"), allow(dead_code, reason = "the audit log needs less"))]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(i128),
    Seconds(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

impl Json {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(number: impl Into<i128>) -> Self {
        Self::Number(number.into())
    }

    /// The value, or `null`.
    pub(crate) fn maybe<T>(value: Option<T>, json: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, json)
    }
}

impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Seconds(value) => write!(f, "{value:.6}"),
            Self::Text(value) => string(f, value),
            Self::List(values) => {
                f.write_char('[')?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Self::Object(fields) => {
                f.write_char('{')?;
                for (at, (name, value)) in fields.iter().enumerate() {
                    f.write_str(if at > 0 { "," } else { "" })?;
                    string(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

fn string(f: &mut std::fmt::Formatter<'_>, text: &str) -> std::fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            // JSON asks for the first 32 only; the others would act on a terminal.
            c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_quoted_as_json_wants_it() {
        let json = Json::Object(vec![
            ("a", Json::List(vec![Json::Null, Json::Bool(true), Json::number(-3)])),
            ("b", Json::text("\"\\\n\x1b\u{9b}é")),
            ("c", Json::Seconds(0.25)),
        ]);
        assert_eq!(
            json.to_string(),
            r#"{"a":[null,true,-3],"b":"\"\\\n\u001b\u009bé","c":0.250000}"#
        );
    }
}
