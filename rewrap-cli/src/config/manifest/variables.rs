//! `$(NAME)` in a command line, as the kubelet fills it in (`third_party/forked/golang/expansion`).

use std::collections::HashMap;

use crate::config::yaml::Node;

/// The environment of a container, as far as the manifest says it: values from elsewhere are None.
pub(super) struct Variables(HashMap<String, Option<String>>);

/// A word of a command line.
pub(super) struct Word {
    pub(super) text: String,
    /// Whether nothing was left that only the kubelet knows.
    pub(super) known: bool,
}

impl Variables {
    pub(super) fn read(container: &Node) -> Self {
        let mut variables = Self(HashMap::new());
        for variable in container.get("env").map_or(&[][..], Node::elements) {
            let text = |field| variable.get(field).and_then(Node::as_str);
            let Some(name) = text("name") else {
                continue;
            };
            // A value may refer to those before it.
            let value = match text("value").filter(|value| !value.is_empty()) {
                Some(value) => Some(variables.expand(value))
                    .filter(|word| word.known)
                    .map(|word| word.text),
                None if variable.get("valueFrom").is_some() => None,
                None => Some(String::new()),
            };
            variables.0.insert(name.to_owned(), value);
        }
        variables
    }

    /// Replaces `$(NAME)`; `$$` stands for a dollar sign. A name that the manifest does not have may
    /// still be one that the kubelet adds, such as the address of a service.
    pub(super) fn expand(&self, text: &str) -> Word {
        let mut word = Word {
            text: String::with_capacity(text.len()),
            known: true,
        };
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            word.text.push_str(before);
            let name = behind
                .strip_prefix('(')
                .and_then(|behind| behind.split_once(')'));
            rest = match (name, behind.strip_prefix('$')) {
                (Some((name, behind)), _) => {
                    match self.0.get(name) {
                        Some(Some(value)) => word.text.push_str(value),
                        Some(None) | None => word.known = false,
                    }
                    behind
                }
                (None, escaped) => {
                    word.text.push('$');
                    escaped.unwrap_or(behind)
                }
            };
        }
        word.text.push_str(rest);
        word
    }
}
