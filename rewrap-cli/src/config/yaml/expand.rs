//! The graph to a tree: aliases followed within a budget, `<<` merged, keys made strings.

use std::collections::HashMap;

use super::{
    Document, MAX_DEPTH, Node, SyntaxError, TOO_DEEP, Text, Value,
    compose::{Graph, Kind, NodeId},
    resolve::{is_merge, resolve, resolve_key},
};

/// Follows the aliases of a graph and resolves its scalars.
pub(super) fn expand(graph: &Graph) -> Result<Document, SyntaxError> {
    let mut expander = Expander {
        graph,
        open: Vec::new(),
        visits: 0,
        aliased: 0,
        duplicates: Vec::new(),
    };
    let root = match graph.root {
        Some(root) => expander.node(root, 0)?,
        None => Node {
            line: 1,
            value: Value::Null,
        },
    };
    say(&root)?;
    Ok(Document {
        root,
        is_yaml: true,
        duplicates: expander.duplicates,
    })
}

/// Whether JSON has words for everything that is left: a later entry of the same name may have
/// replaced what it has none for.
fn say(node: &Node) -> Result<(), SyntaxError> {
    match &node.value {
        Value::Unsayable(problem) => Err(SyntaxError::new(problem, node.line)),
        Value::Sequence(nodes) => nodes.iter().try_for_each(say),
        Value::Mapping(entries) => entries.iter().try_for_each(|(_, node)| say(node)),
        Value::Null | Value::Bool | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

struct Expander<'g> {
    graph: &'g Graph,
    /// The aliases being followed.
    open: Vec<NodeId>,
    visits: u64,
    aliased: u64,
    duplicates: Vec<u32>,
}

impl Expander<'_> {
    fn node(&mut self, id: NodeId, depth: usize) -> Result<Node, SyntaxError> {
        let node = self.graph.node(id);
        self.visit(node.line, depth)?;
        let value = match &node.kind {
            Kind::Scalar(scalar) => resolve(scalar, node.line)?,
            Kind::Sequence(elements) => Value::Sequence(
                elements
                    .iter()
                    .map(|element| self.node(*element, depth + 1))
                    .collect::<Result<_, _>>()?,
            ),
            Kind::Mapping(_) => {
                let mut mapping = Mapping::default();
                self.fill(id, &mut mapping, depth)?;
                Value::Mapping(mapping.entries)
            }
            Kind::Alias(target) => {
                self.enter(id)?;
                // An alias stands where it stands: the anchor's line would lead astray.
                let value = self.node(*target, depth + 1)?.value;
                self.open.pop();
                value
            }
        };
        Ok(Node {
            line: node.line,
            value,
        })
    }

    /// Sets the entries of a mapping in order, those of `<<` where it stands.
    fn fill(&mut self, id: NodeId, mapping: &mut Mapping, depth: usize) -> Result<(), SyntaxError> {
        let Kind::Mapping(entries) = &self.graph.node(id).kind else {
            return Ok(());
        };
        for (key, value) in entries {
            let key_node = self.graph.node(*key);
            if matches!(&key_node.kind, Kind::Scalar(scalar) if is_merge(scalar)) {
                self.merge(*value, mapping, depth + 1)?;
                continue;
            }
            let (key, unsayable) = self.key(*key, depth + 1)?;
            let mut value = self.node(*value, depth + 1)?;
            if let Some(problem) = unsayable {
                value = Node {
                    line: key_node.line,
                    value: Value::Unsayable(problem),
                };
            }
            if !mapping.set(key, value) {
                self.duplicates.push(key_node.line);
            }
        }
        Ok(())
    }

    fn key(
        &mut self,
        id: NodeId,
        depth: usize,
    ) -> Result<(Text, Option<&'static str>), SyntaxError> {
        let node = self.graph.node(id);
        self.visit(node.line, depth)?;
        match &node.kind {
            Kind::Scalar(scalar) => resolve_key(scalar, node.line),
            Kind::Alias(target) => {
                self.enter(id)?;
                let key = self.key(*target, depth + 1)?;
                self.open.pop();
                Ok(key)
            }
            Kind::Sequence(_) | Kind::Mapping(_) => {
                Err(SyntaxError::new("a collection cannot be a key", node.line))
            }
        }
    }

    fn merge(
        &mut self,
        id: NodeId,
        mapping: &mut Mapping,
        depth: usize,
    ) -> Result<(), SyntaxError> {
        match &self.graph.node(id).kind {
            // Backwards, as earlier mappings take precedence.
            Kind::Sequence(elements) => elements
                .iter()
                .rev()
                .try_for_each(|element| self.merge_mapping(*element, mapping, depth)),
            _ => self.merge_mapping(id, mapping, depth),
        }
    }

    fn merge_mapping(
        &mut self,
        id: NodeId,
        mapping: &mut Mapping,
        depth: usize,
    ) -> Result<(), SyntaxError> {
        let node = self.graph.node(id);
        self.visit(node.line, depth)?;
        match &node.kind {
            Kind::Mapping(_) => self.fill(id, mapping, depth),
            Kind::Alias(target) if matches!(self.graph.node(*target).kind, Kind::Mapping(_)) => {
                self.enter(id)?;
                self.visit(node.line, depth)?;
                self.fill(*target, mapping, depth)?;
                self.open.pop();
                Ok(())
            }
            _ => Err(SyntaxError::new(
                "map merge requires a mapping or a sequence of mappings",
                node.line,
            )),
        }
    }

    fn enter(&mut self, alias: NodeId) -> Result<(), SyntaxError> {
        if self.open.contains(&alias) {
            let line = self.graph.node(alias).line;
            return Err(SyntaxError::new("an anchor's value contains itself", line));
        }
        self.open.push(alias);
        Ok(())
    }

    /// The budget of go-yaml's decoder: of many visits, only so many may come from aliases.
    fn visit(&mut self, line: u32, depth: usize) -> Result<(), SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(SyntaxError::new(TOO_DEEP, line));
        }
        self.visits += 1;
        self.aliased += u64::from(!self.open.is_empty());
        let excessive = self.aliased > 100
            && self.visits > 1000
            && self.aliased as f64 / self.visits as f64 > allowed_alias_ratio(self.visits);
        if excessive {
            return Err(SyntaxError::new(
                "the document contains excessive aliasing",
                line,
            ));
        }
        Ok(())
    }
}

/// 99 % up to 400,000 visits, sliding to 10 % at 4,000,000.
fn allowed_alias_ratio(visits: u64) -> f64 {
    const LOW: f64 = 400_000.0;
    const HIGH: f64 = 4_000_000.0;
    let position = ((visits as f64 - LOW) / (HIGH - LOW)).clamp(0.0, 1.0);
    0.99 - 0.89 * position
}

/// A mapping being filled; the index is by key.
#[derive(Default)]
struct Mapping {
    entries: Vec<(Text, Node)>,
    index: HashMap<Text, usize>,
}

impl Mapping {
    /// False if the key was there; its value is replaced.
    fn set(&mut self, key: Text, node: Node) -> bool {
        match self.index.get(&key) {
            Some(position) => {
                self.entries[*position].1 = node;
                false
            }
            None => {
                self.index.insert(key.clone(), self.entries.len());
                self.entries.push((key, node));
                true
            }
        }
    }
}
