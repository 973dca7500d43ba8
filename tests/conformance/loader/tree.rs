//! A file before it is written down.

/// A value. Keys of a mapping may be of any kind, and may repeat.
#[derive(Clone)]
pub(super) enum Tree {
    Text(String),
    /// Written as it stands: `~`, `0x1F`, `!!str 5`.
    Raw(String),
    Sequence(Vec<Self>),
    Mapping(Vec<(Self, Self)>),
}

impl Tree {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn raw(text: &str) -> Self {
        Self::Raw(text.to_owned())
    }

    pub(super) fn mapping(entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Mapping(
            entries
                .into_iter()
                .map(|(key, value)| (Self::text(key), value))
                .collect(),
        )
    }

    pub(super) fn is_same_text(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Text(one), Self::Text(other)) if one == other)
    }

    /// How many nodes there are, keys included.
    pub(super) fn len(&self) -> usize {
        1 + match self {
            Self::Text(_) | Self::Raw(_) => 0,
            Self::Sequence(elements) => elements.iter().map(Self::len).sum(),
            Self::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum(),
        }
    }

    /// The node with this number, counted from the root in the order of the file.
    pub(super) fn node(&mut self, mut number: usize) -> Option<&mut Self> {
        if number == 0 {
            return Some(self);
        }
        number -= 1;
        let children: Vec<&mut Self> = match self {
            Self::Text(_) | Self::Raw(_) => Vec::new(),
            Self::Sequence(elements) => elements.iter_mut().collect(),
            Self::Mapping(entries) => entries
                .iter_mut()
                .flat_map(|(key, value)| [key, value])
                .collect(),
        };
        for child in children {
            let len = child.len();
            if number < len {
                return child.node(number);
            }
            number -= len;
        }
        None
    }
}
