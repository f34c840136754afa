//! Path patterns: text → components with wildcards, and whether a path matches. Bytes throughout.
//!
//! A pattern matches a path if it matches the path or any directory above it.

use serde::{Deserialize, Serialize};

/// Bytes of one pattern.
const LONGEST: usize = 4_096;
/// Alternatives that braces may make of one pattern.
const ALTERNATIVES: usize = 256;

/// Where a pattern starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Anchor {
    Root,
    Home,
    Workspace,
    Tmp,
}

/// Part of a component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Token {
    Byte(u8),
    /// `?`: a character, or a byte that is part of none.
    Any,
    /// `*`
    Run,
    /// `[a-z]`
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
}

/// A component.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Part {
    /// `**`
    Directories,
    Name(Vec<Token>),
}

/// A path pattern, not yet bound to a run's places.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Pattern {
    anchor: Anchor,
    alternatives: Vec<Vec<Part>>,
    /// A trailing slash: only a directory, or what is below one.
    directory: bool,
}

impl Pattern {
    /// Reads a pattern. The error says what is wrong, and the right spelling.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if text.len() > LONGEST {
            return Err(format!("it is longer than {LONGEST} bytes"));
        }
        if text.contains('\0') {
            return Err("it has a NUL byte".into());
        }
        let (anchor, rest) = anchor(text)?;
        let directory = rest.ends_with('/') && !rest.trim_matches('/').is_empty();
        let mut alternatives = Vec::new();
        for spelled in braces(rest)? {
            if spelled != rest && components(&spelled).skip(1).any(str::is_empty) && !directory {
                return Err("an alternative leaves an empty name".into());
            }
            let mut parts = Vec::new();
            for component in components(&spelled) {
                match component {
                    "" | "." => {}
                    ".." => return Err("'..' can't be in a pattern".into()),
                    "**" => parts.push(Part::Directories),
                    name => {
                        let part = Part::Name(tokens(name)?);
                        match literal(&part).as_deref() {
                            Some(b"." | b"..") => {
                                return Err("'.' and '..' can't be spelled with escapes".into());
                            }
                            Some(name) if name.contains(&b'/') => {
                                return Err("a name can't hold a /".into());
                            }
                            _ => parts.push(part),
                        }
                    }
                }
            }
            alternatives.push(parts);
        }
        Ok(Self { anchor, alternatives, directory })
    }

    /// Whether it is a plain path, with all below it.
    pub(crate) fn is_tree(&self) -> bool {
        let plain = |part: &Part| literal(part).is_some();
        !self.directory && self.alternatives.iter().all(|parts| parts.iter().all(plain))
    }

    /// The pattern in a run. `resolve` follows the links of a path, if it exists.
    pub(crate) fn bind(
        &self,
        place: impl Fn(Anchor) -> Option<Vec<u8>>,
        resolve: &dyn Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Option<Bound> {
        let base = place(self.anchor)?;
        let bound = self.alternatives.iter().map(|parts| {
            let count = parts.iter().take_while(|part| literal(part).is_some()).count();
            let mut written = base.clone();
            for name in parts[..count].iter().filter_map(literal) {
                push(&mut written, &name);
            }
            let resolved = real(&written, resolve);
            Form { resolved, written, parts: parts[count..].to_vec() }
        });
        Some(Bound { forms: bound.collect(), directory: self.directory })
    }
}

/// A pattern whose place is known.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    forms: Vec<Form>,
    directory: bool,
}

/// One alternative: a plain path, and what comes below it.
#[derive(Debug, Clone)]
struct Form {
    written: Vec<u8>,
    resolved: Vec<u8>,
    parts: Vec<Part>,
}

/// How a path and a pattern meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meets {
    Not,
    /// Something below the path may match.
    Below,
    /// The path matches.
    Yes,
}

impl Bound {
    /// Whether it matches. `written`: also by the spelling with links in it.
    pub(crate) fn matches(&self, path: &[u8], directory: bool, written: bool) -> bool {
        self.meets(path, directory, written) == Meets::Yes
    }

    pub(crate) fn meets(&self, path: &[u8], directory: bool, written: bool) -> Meets {
        self.forms
            .iter()
            .flat_map(|form| {
                let second = (written && form.written != form.resolved).then_some(&form.written);
                [Some(&form.resolved), second]
                    .into_iter()
                    .flatten()
                    .map(|root| walk(root, &form.parts, path, directory, self.directory))
            })
            .max()
            .unwrap_or(Meets::Not)
    }

    /// The plain paths that everything it matches lies below.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter().map(|form| form.resolved.as_slice())
    }
}

/// Follows the links of a path as far as it exists.
fn real(path: &[u8], resolve: &dyn Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let ends = (1..=path.len()).rev().filter(|end| *end == path.len() || path[*end] == b'/');
    for end in ends {
        if let Some(mut found) = resolve(&path[..end]) {
            for name in path[end..].split(|b| *b == b'/').filter(|name| !name.is_empty()) {
                push(&mut found, name);
            }
            return found;
        }
    }
    path.to_vec()
}

fn push(path: &mut Vec<u8>, name: &[u8]) {
    if path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|name| !name.is_empty())
}

/// Goes through the path's components with the set of places in the pattern that they may be at.
fn walk(root: &[u8], parts: &[Part], path: &[u8], is_dir: bool, must_be_dir: bool) -> Meets {
    let mut left = names(path).peekable();
    for wanted in names(root) {
        match left.next() {
            None => return Meets::Below,
            Some(name) if name == wanted => {}
            Some(_) => return Meets::Not,
        }
    }
    let ends_here =
        |more: bool| if more || is_dir || !must_be_dir { Meets::Yes } else { Meets::Not };
    if parts.is_empty() {
        return ends_here(left.peek().is_some());
    }
    let mut at = vec![false; parts.len()];
    at[0] = true;
    skip(&mut at, parts);
    while let Some(name) = left.next() {
        let mut next = vec![false; parts.len()];
        for (i, part) in parts.iter().enumerate().filter(|(i, _)| at[*i]) {
            let last = i + 1 == parts.len();
            let fits = match part {
                Part::Directories => {
                    next[i] = true;
                    last
                }
                Part::Name(tokens) => fits(tokens, name),
            };
            if fits && last {
                let met = ends_here(left.peek().is_some());
                if met == Meets::Yes {
                    return met;
                }
            } else if fits {
                next[i + 1] = true;
            }
        }
        skip(&mut next, parts);
        at = next;
    }
    if at.contains(&true) { Meets::Below } else { Meets::Not }
}

/// `**` also stands for no directory at all, unless it is the last.
fn skip(at: &mut [bool], parts: &[Part]) {
    for i in 0..parts.len().saturating_sub(1) {
        if at[i] && parts[i] == Part::Directories {
            at[i + 1] = true;
        }
    }
}

/// Whether a text is as a pattern with `*` and `?` says. Arguments are no paths: a `*` matches
/// slashes, too.
pub(crate) fn fits_text(pattern: &str, text: &[u8]) -> bool {
    let token = |byte: u8| match byte {
        b'*' => Token::Run,
        b'?' => Token::Any,
        other => Token::Byte(other),
    };
    let tokens: Vec<_> = pattern.bytes().map(token).collect();
    fits(&tokens, text)
}

fn fits(tokens: &[Token], name: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match tokens.get(token) {
            Some(Token::Run) => {
                back = Some((token, at));
                token += 1;
                continue;
            }
            Some(Token::Byte(byte)) => (name.get(at) == Some(byte)).then_some(1),
            Some(Token::Any) => character(&name[at.min(name.len())..]),
            Some(Token::Class { negated, ranges }) => name.get(at).and_then(|byte| {
                let inside = ranges.iter().any(|(from, to)| (from..=to).contains(&byte));
                (inside != *negated).then_some(1)
            }),
            None if at == name.len() => return true,
            None => None,
        };
        match (step, back) {
            (Some(bytes), _) => {
                token += 1;
                at += bytes;
            }
            // The last run takes one byte more.
            (None, Some((run, start))) if start < name.len() => {
                back = Some((run, start + 1));
                (token, at) = (run + 1, start + 1);
            }
            (None, _) => return false,
        }
    }
}

/// The length of the character at the beginning, or of a byte that is part of none.
fn character(bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = bytes.get(..length).is_some_and(|bytes| std::str::from_utf8(bytes).is_ok());
    Some(if whole { length } else { 1 })
}

fn literal(part: &Part) -> Option<Vec<u8>> {
    let Part::Name(tokens) = part else { return None };
    let byte = |token: &Token| match token {
        Token::Byte(byte) => Some(*byte),
        _ => None,
    };
    tokens.iter().map(byte).collect()
}

fn anchor(text: &str) -> Result<(Anchor, &str), String> {
    let variables = [
        ("${workspace}", Anchor::Workspace),
        ("${home}", Anchor::Home),
        ("${tmp}", Anchor::Tmp),
        ("~", Anchor::Home),
    ];
    for (name, anchor) in variables {
        if let Some(rest) = text.strip_prefix(name) {
            if rest.is_empty() || rest.starts_with('/') {
                return Ok((anchor, rest));
            }
            if name == "~" {
                return Err("the home of another user can't be named; write it out".into());
            }
        }
    }
    if text.contains("${") {
        return Err("only ${workspace}, ${home} and ${tmp} are known, at the beginning".into());
    }
    if text.starts_with('$') {
        return Err("a variable is written ${name}".into());
    }
    if text.starts_with('!') {
        return Err("there is no negation; use except".into());
    }
    if text.starts_with('/') {
        return Ok((Anchor::Root, text));
    }
    if text.starts_with("**") {
        return Err(format!("say where: `./{text}` or `/{text}`"));
    }
    if !text.contains('/') && text.contains(['*', '?', '[', '{']) {
        return Err(format!("say where: `./{text}`, `./**/{text}` or `/**/{text}`"));
    }
    Ok((Anchor::Workspace, text))
}

/// Components, split at slashes that are neither escaped nor in a class.
fn components(text: &str) -> impl Iterator<Item = &str> {
    text.split('/')
}

/// Writes out `{a,b}`.
fn braces(text: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars.next().ok_or("a lone \\ at the end; write \\\\")?;
                done.iter_mut().for_each(|text| text.extend(['\\', next]));
            }
            '{' => {
                let mut choices = vec![String::new()];
                loop {
                    match chars.next() {
                        None => return Err("a { is not closed; write \\{ for the character".into()),
                        Some('}') => break,
                        Some('{') => return Err("braces can't be nested".into()),
                        Some(',') => choices.push(String::new()),
                        Some('/') => return Err("braces can't hold a /".into()),
                        Some('\\') => {
                            let next = chars.next().ok_or("a lone \\ at the end")?;
                            if let Some(last) = choices.last_mut() {
                                last.extend(['\\', next]);
                            }
                        }
                        Some(other) => {
                            if let Some(last) = choices.last_mut() {
                                last.push(other);
                            }
                        }
                    }
                }
                if choices.len() < 2 {
                    return Err("braces need at least two alternatives".into());
                }
                if done.len() * choices.len() > ALTERNATIVES {
                    return Err(format!("braces make more than {ALTERNATIVES} alternatives"));
                }
                done = done
                    .iter()
                    .flat_map(|text| choices.iter().map(move |choice| format!("{text}{choice}")))
                    .collect();
            }
            '}' => return Err("a } without a {; write \\} for the character".into()),
            other => done.iter_mut().for_each(|text| text.push(other)),
        }
    }
    Ok(done)
}

fn tokens(name: &str) -> Result<Vec<Token>, String> {
    if name.contains("**") {
        return Err("`**` must be a whole component: `/**/`".into());
    }
    let bytes = name.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'*' => tokens.push(Token::Run),
            b'?' => tokens.push(Token::Any),
            b'[' => {
                let (class, length) = class(&bytes[at..])?;
                tokens.push(class);
                at += length;
            }
            b'\\' => match bytes.get(at..) {
                Some([b'x', a, b, ..]) => {
                    let digits = [*a, *b];
                    let number = std::str::from_utf8(&digits)
                        .ok()
                        .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                        .filter(|number| *number != 0)
                        .ok_or("\\x needs two hexadecimal digits, not 00")?;
                    tokens.push(Token::Byte(number));
                    at += 3;
                }
                Some([next, ..]) => {
                    tokens.push(Token::Byte(*next));
                    at += 1;
                }
                _ => return Err("a lone \\ at the end; write \\\\".into()),
            },
            other => tokens.push(Token::Byte(*other)),
        }
    }
    Ok(tokens)
}

/// The class behind a `[`, and how many bytes it takes.
fn class(bytes: &[u8]) -> Result<(Token, usize), String> {
    if bytes.first() == Some(&b'^') {
        return Err("a class is negated by !: [!a]".into());
    }
    let negated = bytes.first() == Some(&b'!');
    let start = usize::from(negated);
    // A bracket that comes first is a member.
    let end = bytes
        .iter()
        .skip(start + 1)
        .position(|byte| *byte == b']')
        .map(|found| found + start + 1)
        .ok_or("a [ is not closed; write \\[ for the character")?;
    let members = &bytes[start..end];
    if !members.is_ascii() {
        return Err("a class holds single bytes only".into());
    }
    let mut ranges = Vec::new();
    let mut left = members;
    while let Some((first, rest)) = left.split_first() {
        match rest {
            [b'-', last, rest @ ..] => {
                if last < first {
                    return Err("a range in a class is backwards".into());
                }
                ranges.push((*first, *last));
                left = rest;
            }
            _ => {
                ranges.push((*first, *first));
                left = rest;
            }
        }
    }
    Ok((Token::Class { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(text: &str) -> Bound {
        let place = |anchor| {
            Some(match anchor {
                Anchor::Root => b"/".to_vec(),
                Anchor::Home => b"/home/u".to_vec(),
                Anchor::Workspace => b"/w".to_vec(),
                Anchor::Tmp => b"/run/eb".to_vec(),
            })
        };
        Pattern::parse(text).unwrap().bind(place, &|_| None).unwrap()
    }

    fn check(pattern: &str, path: &[u8], wanted: bool) {
        let bound = bind(pattern);
        let found = bound.matches(path, false, true);
        assert_eq!(found, wanted, "{pattern} {}", path.escape_ascii());
    }

    #[test]
    fn patterns_match_what_they_say() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("./src", b"/w/src/x/y", true),
            ("./src", b"/w/srcx", false),
            ("src", b"/w/src", true),
            ("./src/*.py", b"/w/src/a.py", true),
            ("./src/*.py", b"/w/src/d/a.py", false),
            ("./src/**/*.py", b"/w/src/a.py", true),
            ("./src/**/*.py", b"/w/src/d/a.py", true),
            ("./build/*", b"/w/build", false),
            ("./build/*", b"/w/build/a/b", true),
            ("./build/**", b"/w/build", false),
            ("./build/**", b"/w/build/a/b", true),
            ("/**/.env", b"/.env", true),
            ("/**/.env", b"/x/y/.env", true),
            ("/**/.env", b"/x/.env/y", true),
            ("/**/.env", b"/x/.envy", false),
            ("./*", b"/w/.hidden", true),
            ("./f?", "/w/fé".as_bytes(), true),
            ("./f?", b"/w/f\xff", true),
            ("./f?", b"/w/fab", false),
            ("./\\*", b"/w/*", true),
            ("./\\*", b"/w/a", false),
            ("./\\xff*", b"/w/\xff1", true),
            ("./{a,b}/c", b"/w/b/c", true),
            ("./{a,b}/c", b"/w/c/c", false),
            ("./credentials{,.toml}", b"/w/credentials", true),
            ("./credentials{,.toml}", b"/w/credentials.toml", true),
            ("./[!a]x", b"/w/ax", false),
            ("./[!a]x", b"/w/bx", true),
            ("./[a-c]x", b"/w/cx", true),
            (".", b"/w", true),
            (".", b"/w/x", true),
            (".", b"/v", false),
            ("~/.ssh", b"/home/u/.ssh/id", true),
            ("${tmp}/x", b"/run/eb/x", true),
            ("/", b"/anything", true),
            ("./a*b*c", b"/w/axxbyyc", true),
            ("./a*b*c", b"/w/axxbyyd", false),
        ];
        for (pattern, path, wanted) in cases {
            check(pattern, path, *wanted);
        }
    }

    #[test]
    fn a_trailing_slash_means_a_directory() {
        let bound = bind("./build/");
        assert!(!bound.matches(b"/w/build", false, true));
        assert!(bound.matches(b"/w/build", true, true));
        assert!(bound.matches(b"/w/build/x", false, true));
        let glob = bind("./*/");
        assert!(!glob.matches(b"/w/x", false, true) && glob.matches(b"/w/x/y", false, true));
    }

    #[test]
    fn mistakes_say_the_right_spelling() {
        let long = "x".repeat(5_000);
        for text in [
            "",
            "**/.env",
            "*.pem",
            "!x",
            "~bob/x",
            "${NOPE}/x",
            "$HOME/x",
            "a/../b",
            "./src/**.py",
            "./{a",
            "./a}",
            "./{a}",
            "./{a,{b,c}}",
            "./[a",
            "./a\\",
            "./\\xzz",
            "./\\x00",
            "a\0b",
            "./[z-a]",
            "./[^a]",
            "./\\.\\./x",
            "./a\\x2f..",
            "./{,a}",
            long.as_str(),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(!error.is_empty());
        }
        assert!(Pattern::parse("*.pem").unwrap_err().contains("./**/*.pem"));
        let many = "{a,b}".repeat(9);
        assert!(Pattern::parse(&format!("./{many}")).is_err());
    }

    #[test]
    fn links_in_the_plain_part_are_followed_and_kept() {
        let resolve = |path: &[u8]| match path {
            b"/link" => Some(b"/real".to_vec()),
            b"/" => Some(b"/".to_vec()),
            _ => None,
        };
        let root = |_| Some(b"/".to_vec());
        let bound = Pattern::parse("/link/x/*.py").unwrap().bind(root, &resolve).unwrap();
        assert!(bound.matches(b"/real/x/a.py", false, false));
        assert!(!bound.matches(b"/link/x/a.py", false, false));
        assert!(bound.matches(b"/link/x/a.py", false, true));
        assert_eq!(bound.roots().collect::<Vec<_>>(), [b"/real/x"]);
    }

    #[test]
    fn what_may_match_below_is_known() {
        let bound = bind("./keep/**/x");
        assert_eq!(bound.meets(b"/w", true, true), Meets::Below);
        assert_eq!(bound.meets(b"/w/keep/a", true, true), Meets::Below);
        assert_eq!(bound.meets(b"/w/keep/a/x", true, true), Meets::Yes);
        assert_eq!(bound.meets(b"/w/other", true, true), Meets::Not);
        assert!(Pattern::parse("./a/b").unwrap().is_tree());
        assert!(!Pattern::parse("./a/*").unwrap().is_tree());
    }

    #[test]
    fn long_patterns_take_no_long_time() {
        let pattern = format!("./{}b", "a*".repeat(500));
        let path = format!("/w/{}", "a".repeat(4_000));
        let begun = std::time::Instant::now();
        check(&pattern, path.as_bytes(), false);
        assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    }
}
