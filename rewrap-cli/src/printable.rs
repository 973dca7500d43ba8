//! Words from outside on a terminal: keys and values of etcd, names in files and what a plugin says may
//! hold characters that steer it, or lines that look like ours.

use std::fmt::{self, Write as _};

/// A text with its control characters written as escapes, `\n` for instance.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f, char::is_control)
    }
}

/// The same, with its line breaks kept.
pub(crate) struct Lines<'a>(pub(crate) &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, f, |char| char.is_control() && char != '\n')
    }
}

fn escape(text: &str, f: &mut fmt::Formatter<'_>, steers: impl Fn(char) -> bool) -> fmt::Result {
    for char in text.chars() {
        if steers(char) {
            write!(f, "{}", char.escape_debug())?;
        } else {
            f.write_char(char)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_steers_a_terminal_is_escaped() {
        let text = "a \"quoted\" \\ é\u{9b}\u{1b}[2J\r\n\tb";
        assert_eq!(
            OneLine(text).to_string(),
            r#"a "quoted" \ é\u{9b}\u{1b}[2J\r\n\tb"#
        );
        assert_eq!(
            Lines(text).to_string(),
            "a \"quoted\" \\ é\\u{9b}\\u{1b}[2J\\r\n\\tb"
        );
    }
}
