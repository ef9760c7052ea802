//! The life of a publication: drafted, approved by partners, published, then superseded or withdrawn.

use std::collections::BTreeSet;

/// Where a publication stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Its tables are being made.
    Preparing,
    /// They could not be made; nothing was shown.
    Refused,
    /// They are made, and staff alone see them.
    Draft,
    /// The public is served it.
    Published,
    /// It was served, and another one is.
    Superseded,
    /// It was taken back, with a reason, for good.
    Withdrawn,
}

/// What may happen to a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Its tables are asked for, for the first time or again.
    Prepare,
    /// The tables are made.
    Make,
    /// The tables cannot be made.
    Refuse,
    /// A partner approves it.
    Approve,
    /// It is served, for the first time or, by going back to it, again.
    Publish,
    /// Another one is served in its place.
    Supersede,
    /// It is taken back.
    Withdraw,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 6] =
        [Self::Preparing, Self::Refused, Self::Draft, Self::Published, Self::Superseded, Self::Withdrawn];

    /// The stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Refused => "refused",
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Superseded => "superseded",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The stage of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

    /// Where a publication stands after an act; `None` when that act cannot happen at this stage.
    ///
    /// What was withdrawn stays so: a release is served again only while nobody took it back.
    pub fn after(self, act: Act) -> Option<Self> {
        match (self, act) {
            (Self::Preparing | Self::Refused, Act::Prepare) => Some(Self::Preparing),
            (Self::Preparing, Act::Make) => Some(Self::Draft),
            (Self::Preparing, Act::Refuse) => Some(Self::Refused),
            (Self::Draft, Act::Approve) => Some(Self::Draft),
            (Self::Draft | Self::Superseded, Act::Publish) => Some(Self::Published),
            (Self::Published, Act::Supersede) => Some(Self::Superseded),
            (Self::Published | Self::Superseded, Act::Withdraw) => Some(Self::Withdrawn),
            (
                Self::Preparing | Self::Refused | Self::Draft | Self::Published | Self::Superseded | Self::Withdrawn,
                Act::Prepare | Act::Make | Act::Refuse | Act::Approve | Act::Publish | Act::Supersede | Act::Withdraw,
            ) => None,
        }
    }
}

/// The partners whose approval is still missing, in the order in which they are required.
pub fn missing(required: &[String], given: &BTreeSet<String>) -> Vec<String> {
    required.iter().filter(|partner| !given.contains(*partner)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_goes_forward_and_never_comes_back_from_withdrawal() {
        use Act::{Approve, Make, Prepare, Publish, Refuse, Supersede, Withdraw};
        use Stage::{Draft, Preparing, Published, Refused, Superseded, Withdrawn};
        let acts = [Prepare, Make, Refuse, Approve, Publish, Supersede, Withdraw];
        let table = [
            (Preparing, [Some(Preparing), Some(Draft), Some(Refused), None, None, None, None]),
            (Refused, [Some(Preparing), None, None, None, None, None, None]),
            (Draft, [None, None, None, Some(Draft), Some(Published), None, None]),
            (Published, [None, None, None, None, None, Some(Superseded), Some(Withdrawn)]),
            (Superseded, [None, None, None, None, Some(Published), None, Some(Withdrawn)]),
            (Withdrawn, [None; 7]),
        ];
        assert_eq!(table.map(|(stage, _)| stage), Stage::ALL);
        for (stage, expected) in table {
            assert_eq!(acts.map(|act| stage.after(act)), expected, "{stage:?}");
            assert_eq!(Stage::parse(stage.as_str()), Some(stage));
        }
        assert_eq!(Stage::parse("Draft"), None);
    }

    #[test]
    fn each_required_partner_signs_and_others_do_not_count() {
        let required = ["urssaf", "metropole"].map(str::to_owned);
        for (given, expected) in [
            (&[][..], &["urssaf", "metropole"][..]),
            (&["metropole"], &["urssaf"]),
            (&["caf"], &["urssaf", "metropole"]),
            (&["metropole", "urssaf", "caf"], &[]),
        ] {
            let given = given.iter().map(|g| (*g).to_owned()).collect();
            assert_eq!(missing(&required, &given), expected);
        }
        assert!(missing(&[], &BTreeSet::new()).is_empty());
    }
}
