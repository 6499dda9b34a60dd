//! The project's own text files, and the tokens of the Rust ones.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Ident, TokenStream, TokenTree};

/// Folders that hold nothing the project wrote.
const FOREIGN: [&str; 4] = ["target", ".git", "node_modules", "__pycache__"];

/// One text file.
pub(crate) struct Source {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// What it holds.
    pub(crate) text: String,
    tokens: OnceCell<Vec<Token>>,
}

impl Source {
    /// Does its name end in one of these?
    pub(crate) fn is(&self, extensions: &[&str]) -> bool {
        extensions.iter().any(|ext| self.path.rsplit_once('.').is_some_and(|(_, e)| e == *ext))
    }

    /// Its tokens: comments are gone, strings are single tokens.
    pub(crate) fn tokens(&self) -> &[Token] {
        self.tokens.get_or_init(|| self.tokenize())
    }

    fn tokenize(&self) -> Vec<Token> {
        let stream: TokenStream = match self.text.parse() {
            Ok(stream) => stream,
            Err(error) => panic!("{}: {error}", self.path),
        };
        let mut out = Vec::new();
        flatten(stream, &mut out);
        out
    }
}

/// A token; groups are spelled out by their brackets.
pub(crate) enum Token {
    /// A word.
    Word(Ident),
    /// A character of punctuation or a bracket, and its line.
    Mark(char, usize),
    /// A literal.
    Literal,
}

impl Token {
    /// Is it this word?
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(ident) if ident == word)
    }

    /// Is it this mark?
    pub(crate) fn is_mark(&self, mark: char) -> bool {
        matches!(self, Token::Mark(m, _) if *m == mark)
    }
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    for tree in stream {
        match tree {
            TokenTree::Ident(ident) => out.push(Token::Word(ident)),
            TokenTree::Punct(mark) => {
                out.push(Token::Mark(mark.as_char(), mark.span().start().line))
            }
            TokenTree::Literal(_) => out.push(Token::Literal),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Brace => ('{', '}'),
                    proc_macro2::Delimiter::Bracket => ('[', ']'),
                    _ => ('(', ')'),
                };
                out.push(Token::Mark(open, group.span_open().start().line));
                flatten(group.stream(), out);
                out.push(Token::Mark(close, group.span_close().start().line));
            }
        }
    }
}

/// All text files of the project.
pub(crate) fn all() -> Vec<Source> {
    let mut out = Vec::new();
    walk(&root(), &mut out);
    out
}

/// The Rust files of a folder.
pub(crate) fn rust(folder: &str) -> Vec<Source> {
    let inside = |s: &Source| s.is(&["rs"]) && s.path.starts_with(&format!("{folder}/"));
    all().into_iter().filter(inside).collect()
}

/// `Cargo.toml`, parsed.
pub(crate) fn manifest() -> toml::Table {
    fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn walk(folder: &Path, out: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && !FOREIGN.iter().any(|foreign| name == *foreign) {
            walk(&path, out);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
            out.push(Source { path, text, tokens: OnceCell::new() });
        }
    }
}

/// A source for a test of a rule.
pub(crate) fn fake(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned(), tokens: OnceCell::new() }
}
