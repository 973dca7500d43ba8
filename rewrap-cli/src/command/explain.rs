//! `rewrap explain`: from an error text to its cause and the next command.

use std::io::{self, Read as _};

use super::{CommandError, Exit};
use crate::{
    cli::ExplainArgs,
    explain::{Explanation, explain as explanations, object},
};

/// What is left of 100 columns beside the margin.
const WIDTH: usize = 91;

pub(super) fn explain(args: &ExplainArgs) -> Result<Exit, CommandError> {
    let mut text = args.text.join(" ");
    if text == "-" {
        let mut bytes = Vec::new();
        io::stdin()
            .read_to_end(&mut bytes)
            .map_err(CommandError::Io)?;
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let known = explanations(&text);
    if known.is_empty() {
        eprintln!(
            "nothing in it is an error text of kube-apiserver about encryption that this version knows\n\
             next: `rewrap status` opens everything and says what does not open, and why"
        );
        return Ok(Exit::Findings);
    }
    let prefix = args.etcd_prefix.clone().unwrap_or_default();
    let object = object(&text, &prefix).unwrap_or_else(|| "RESOURCE NAMESPACE/NAME".to_owned());
    let parts: Vec<_> = known.iter().map(|known| part(known, &object)).collect();
    print!("{}", parts.join("\n"));
    Ok(Exit::Done)
}

fn part(known: &Explanation, object: &str) -> String {
    let Explanation { text, means, next } = known;
    let means = wrapped(means);
    let next: Vec<_> = next
        .iter()
        .map(|line| line.replace("OBJECT", object))
        .collect();
    let [means, next] = [means, next].map(|lines| lines.join("\n         "));
    format!("\"{text}\"\n  means  {means}\n  next   {next}\n")
}

/// Lines of at most [`WIDTH`] characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= WIDTH {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
