//! Who may do what: every act of staff, and the roles a key may have.

use std::fmt;
use std::str::FromStr;

/// What a key allows its holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Role {
    /// Sends contours and registers, and drafts publications.
    Gis,
    /// Answers for the data: publishes, withdraws and goes back, and may do what GIS staff do.
    Owner,
    /// Looks at drafts and approves them in the name of one partner, and at what is published for partners.
    Partner(PartnerName),
}

/// The name of a partner, as the list of required approvals has it: `metropole`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartnerName(String);

/// An act of staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Duty {
    /// Look at the versions of zonings, their files, and how they differ.
    ReadZonings,
    /// Send a version of a zoning, or restore one.
    SendZoning,
    /// Look at what is said of registers and at their reports.
    ReadRegisters,
    /// Send a register.
    SendRegister,
    /// Look at establishments to be reviewed, with their headcounts, and at what was decided about them.
    ReadReview,
    /// Decide about an establishment.
    Decide,
    /// Look at jobs.
    ReadJobs,
    /// Have a publication drafted.
    Draft,
    /// Look at drafts and their reports.
    ReadDrafts,
    /// Look at the figures of a draft.
    Preview,
    /// Approve a draft in the name of a partner.
    Approve,
    /// Look at the list of releases and at the history of acts.
    ReadHistory,
    /// Publish a draft.
    Publish,
    /// Take a release back.
    Withdraw,
    /// Serve an earlier release again.
    RollBack,
}

impl Duty {
    /// Every act.
    pub const ALL: [Self; 15] = [
        Self::ReadZonings,
        Self::SendZoning,
        Self::ReadRegisters,
        Self::SendRegister,
        Self::ReadReview,
        Self::Decide,
        Self::ReadJobs,
        Self::Draft,
        Self::ReadDrafts,
        Self::Preview,
        Self::Approve,
        Self::ReadHistory,
        Self::Publish,
        Self::Withdraw,
        Self::RollBack,
    ];

    /// The stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadZonings => "read_zonings",
            Self::SendZoning => "send_zoning",
            Self::ReadRegisters => "read_registers",
            Self::SendRegister => "send_register",
            Self::ReadReview => "read_review",
            Self::Decide => "decide",
            Self::ReadJobs => "read_jobs",
            Self::Draft => "draft",
            Self::ReadDrafts => "read_drafts",
            Self::Preview => "preview",
            Self::Approve => "approve",
            Self::ReadHistory => "read_history",
            Self::Publish => "publish",
            Self::Withdraw => "withdraw",
            Self::RollBack => "roll_back",
        }
    }
}

impl Role {
    /// Whether this role allows an act: the one table of roles and acts.
    ///
    /// Raw figures are never given to a partner (agreement of Dijon, article 4.1), so partners look at no register. Nor do
    /// they look at the figures of drafts: each draft is protected beside what is published, not beside other drafts, so
    /// that whoever saw two of them could subtract one from the other.
    pub fn may(&self, duty: Duty) -> bool {
        match duty {
            Duty::ReadZonings | Duty::ReadDrafts | Duty::ReadHistory => true,
            Duty::SendZoning
            | Duty::ReadRegisters
            | Duty::SendRegister
            | Duty::ReadReview
            | Duty::Decide
            | Duty::ReadJobs
            | Duty::Draft
            | Duty::Preview => matches!(self, Self::Gis | Self::Owner),
            Duty::Approve => matches!(self, Self::Partner(_)),
            Duty::Publish | Duty::Withdraw | Duty::RollBack => matches!(self, Self::Owner),
        }
    }

    /// Whether a key is shown what is published for partners, where anybody else is shown what is public.
    pub fn sees_releases_for_partners(&self) -> bool {
        match self {
            Self::Gis => false,
            Self::Owner | Self::Partner(_) => true,
        }
    }

    /// The partner in whose name a key approves.
    pub fn partner(&self) -> Option<&str> {
        match self {
            Self::Gis | Self::Owner => None,
            Self::Partner(PartnerName(name)) => Some(name),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gis => f.write_str("gis"),
            Self::Owner => f.write_str("owner"),
            Self::Partner(PartnerName(name)) => write!(f, "partner:{name}"),
        }
    }
}

/// Why a text is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found `{found}`, expected gis, owner or partner:NAME, the name in {PARTNER_NAME_MAX} small letters, digits and hyphens at most"
)]
pub struct BadRole {
    found: String,
}

/// Longest name of a partner, in characters: it stands in settings and lists, and an acronym or a town takes fewer.
const PARTNER_NAME_MAX: usize = 40;

impl FromStr for Role {
    type Err = BadRole;
    fn from_str(text: &str) -> Result<Self, BadRole> {
        let small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        match text.split_once(':') {
            None if text == "gis" => Ok(Self::Gis),
            None if text == "owner" => Ok(Self::Owner),
            Some(("partner", name)) if (1..=PARTNER_NAME_MAX).contains(&name.len()) && name.bytes().all(small) => {
                Ok(Self::Partner(PartnerName(name.to_owned())))
            }
            _ => Err(BadRole { found: text.chars().take(PARTNER_NAME_MAX).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_by_their_words() {
        for word in ["gis", "owner", "partner:metropole", "partner:ccas-21"] {
            assert_eq!(word.parse::<Role>().unwrap().to_string(), word);
        }
        let long = format!("partner:{}", "a".repeat(PARTNER_NAME_MAX + 1));
        for word in ["", "Owner", "partner", "partner:", "partner:Dijon", "partner:a b", "gis:a", &long] {
            assert!(word.parse::<Role>().is_err(), "{word}");
        }
    }

    #[test]
    fn nobody_does_everything_and_partners_reach_nothing_raw() {
        let may = |role: &str| {
            let role: Role = role.parse().unwrap();
            Duty::ALL.into_iter().filter(|d| role.may(*d)).map(Duty::as_str).collect::<Vec<_>>()
        };
        assert_eq!(may("partner:msa"), ["read_zonings", "read_drafts", "approve", "read_history"]);
        assert!(!may("gis").iter().any(|d| ["approve", "publish", "withdraw", "roll_back"].contains(d)));
        assert_eq!(may("owner").len(), Duty::ALL.len() - 1, "an owner does not sign for a partner");
    }
}
