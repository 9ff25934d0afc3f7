//! Rust source as tokens, without comments and test code.

/// A token and the line it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An identifier, a keyword or a number.
    Word(String),
    /// What stands between the quotes of a string.
    Text(String),
    /// `::`
    Colons,
    /// Any other single character.
    Sign(char),
}

impl Token {
    /// The identifier, keyword or number, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// True if it is this single character.
    pub fn is(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// The tokens of a file; comments (and with them doc tests), lifetimes and characters are left out.
pub fn tokens(text: &str) -> Vec<Token> {
    let characters: Vec<char> = text.chars().collect();
    let mut lexer = Lexer {
        characters: &characters,
        at: 0,
        line: 1,
    };
    let mut tokens = Vec::new();
    while let Some(next) = lexer.peek(0) {
        let line = lexer.line;
        if let Some(kind) = lexer.token(next) {
            tokens.push(Token { kind, line });
        }
    }
    tokens
}

struct Lexer<'a> {
    characters: &'a [char],
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    fn take(&mut self) -> Option<char> {
        let next = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(next == '\n');
        Some(next)
    }

    fn token(&mut self, next: char) -> Option<Kind> {
        match (next, self.peek(1)) {
            ('/', Some('/')) => {
                while self.peek(0).is_some_and(|c| c != '\n') {
                    self.take();
                }
                None
            }
            ('/', Some('*')) => {
                self.block_comment();
                None
            }
            ('"', _) => Some(self.text()),
            ('\'', _) => {
                self.quote();
                None
            }
            (':', Some(':')) => {
                self.take();
                self.take();
                Some(Kind::Colons)
            }
            _ if next == '_' || next.is_alphanumeric() => self.word(),
            _ => {
                self.take();
                (!next.is_whitespace()).then_some(Kind::Sign(next))
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(next) = self.take() {
            match (next, self.peek(0)) {
                ('/', Some('*')) => {
                    self.take();
                    depth += 1;
                }
                ('*', Some('/')) => {
                    self.take();
                    depth -= 1;
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }

    fn text(&mut self) -> Kind {
        let mut text = String::new();
        self.take();
        while let Some(next) = self.take() {
            match next {
                '"' => break,
                '\\' => {
                    text.push(next);
                    text.extend(self.take());
                }
                _ => text.push(next),
            }
        }
        Kind::Text(text)
    }

    /// A string without escapes; `r`, `br` or `cr` has been taken, `#` or the quote comes next.
    fn raw_text(&mut self) -> Kind {
        let mut hashes = 0;
        while self.peek(0) == Some('#') {
            self.take();
            hashes += 1;
        }
        self.take();
        let mut text = String::new();
        while let Some(next) = self.take() {
            if next == '"' && (0..hashes).all(|i| self.peek(i) == Some('#')) {
                for _ in 0..hashes {
                    self.take();
                }
                break;
            }
            text.push(next);
        }
        Kind::Text(text)
    }

    /// A character or a lifetime.
    fn quote(&mut self) {
        self.take();
        if self.peek(0) == Some('\\') {
            self.take();
            self.take();
            while self.take().is_some_and(|c| c != '\'') {}
        } else if self.peek(1) == Some('\'') {
            self.take();
            self.take();
        }
    }

    fn word(&mut self) -> Option<Kind> {
        let mut word = String::new();
        while let Some(next) = self.peek(0).filter(|&c| c == '_' || c.is_alphanumeric()) {
            word.push(next);
            self.take();
        }
        match (word.as_str(), self.peek(0), self.peek(1)) {
            ("r" | "br" | "cr", Some('"'), _) | ("r" | "br" | "cr", Some('#'), Some('"' | '#')) => {
                Some(self.raw_text())
            }
            ("b" | "c", Some('"'), _) => Some(self.text()),
            ("b", Some('\''), _) => {
                self.quote();
                None
            }
            // A raw identifier is the word after it.
            ("r", Some('#'), _) => {
                self.take();
                None
            }
            _ => Some(Kind::Word(word)),
        }
    }
}

/// The tokens without items under `#[cfg(test)]`; nothing if the whole file is under `#![cfg(test)]`.
pub fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let inner = tokens.get(at + 1).is_some_and(|t| t.is('!'));
        let open = at + 1 + usize::from(inner);
        if tokens[at].is('#') && tokens.get(open).is_some_and(|t| t.is('[')) {
            let end = closing(tokens, open);
            if is_test(&tokens[open + 1..end]) {
                if inner {
                    return Vec::new();
                }
                at = item_end(tokens, end + 1);
                continue;
            }
        }
        kept.push(tokens[at].clone());
        at += 1;
    }
    kept
}

/// True of `cfg(test)` and `cfg(all(test, …))`.
fn is_test(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute.iter().filter_map(Token::word).collect();
    matches!(words.as_slice(), ["cfg", "test"] | ["cfg", "all", "test", ..])
}

/// Where the bracket at `open` closes; the end if it never does.
pub fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Sign('(' | '[' | '{') => depth += 1,
            Kind::Sign(')' | ']' | '}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// The place after the item that starts at `at`, its other attributes included.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        match tokens[at].kind {
            Kind::Sign(';') => return at + 1,
            Kind::Sign('{') => return closing(tokens, at) + 1,
            Kind::Sign('}') => return at,
            Kind::Sign('(' | '[') => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        without_tests(&tokens(text))
            .iter()
            .filter_map(|t| t.word().map(str::to_owned))
            .collect()
    }

    #[test]
    fn comments_strings_characters_and_lifetimes_are_no_words() {
        let text = r###"a /* b /* c */ */ "d \" e" r#"f " g"# 'h' '\n' '\u{1f}' &'i j b'k' // l
        m"###;
        assert_eq!(words(text), ["a", "i", "j", "m"]);
        assert_eq!(tokens("a\n\nb")[1].line, 3);
    }

    #[test]
    fn items_under_cfg_test_are_left_out() {
        let text = "#[cfg(test)] use a::{b, c}; fn d() {} #[cfg(test)] #[derive(E)] mod f { g } #[cfg(unix)] h";
        assert_eq!(words(text), ["fn", "d", "cfg", "unix", "h"]);
        assert!(words("#![cfg(test)] fn a() {}").is_empty());
    }
}
