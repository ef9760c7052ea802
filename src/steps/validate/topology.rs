//! What is said of contours: findings, how grave each is, and where.

use geo::MultiPolygon;

/// How zones lie beside each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TopologyReport {
    /// Zones looked at.
    pub zones: usize,
    /// Vertices of all their rings.
    pub vertices: usize,
    /// Sum of their areas, in square metres.
    pub area_m2: f64,
    /// Gravest and largest first.
    pub findings: Vec<Finding>,
    /// Findings beyond the [`FINDINGS_MAX`] first ones met, which were only counted.
    pub unlisted: usize,
    /// Overlaps and gaps too small to be listed, below [`OVERLAY_TOLERANCE_M2`].
    pub below_tolerance: usize,
    /// Whether overlaps and gaps were looked for to the end: not when the caller did without, nor in a tangle of edges.
    pub overlaid: bool,
}

/// One thing worth knowing about the contours.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// The codes of the zones concerned, in order; for a gap, of zones around it.
    pub zones: Vec<String>,
    /// Its area in square metres; 0 for a point.
    pub area_m2: f64,
    /// A point in it, or where rings meet, EPSG:2154 metres; none for what has no place, such as a wrong count.
    pub place: Option<(f64, f64)>,
    /// The ground it covers, EPSG:2154 metres; empty for a point.
    pub shape: MultiPolygon,
}

/// What a finding is, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Another number of zones than the operator knows there must be.
    ZoneCount,
    /// No zone at all.
    NoZone,
    /// A code that is no code.
    BadCode,
    /// A code that another zone has too.
    DuplicateCode,
    /// A ring of fewer than three places.
    RingTooShort,
    /// A ring that crosses itself or another of its zone; its area is the ground on which the rings contradict each other.
    RingCrosses,
    /// Parts of a zone that cover each other, or a hole outside its part.
    RingsDisagree,
    /// A ring that encloses no ground.
    RingFlat,
    /// More edges beside each other than can be judged.
    Tangled,
    /// A zone with no ground in the territory.
    OutsideTerritory,
    /// Ground that two zones claim.
    Overlap,
    /// Ground that no zone claims, enclosed by zones.
    Gap,
    /// Ground of the territory that no zone claims.
    Uncovered,
    /// Ground of a zone that lies beyond the territory.
    BeyondTerritory,
    /// A part of a zone smaller than [`FRAGMENT_M2`]: more often a remnant of drawing than ground.
    Fragment,
    /// A ring that touches itself at a point without crossing.
    SelfTouch,
    /// An overlap, or ground beyond the territory, thinner than [`SLIVER_WIDTH_M`]: two drawings of one border.
    Sliver,
    /// Ground that no zone claims, thinner than that.
    SliverGap,
    /// A zone with holes.
    Hole,
    /// A part of a zone apart from its largest one.
    IsolatedPart,
    /// Zones that touch none of those that hold together most ground.
    Detached,
}

/// Whether someone should look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No zoning can be made of it.
    Blocking,
    /// A zoning should not have it, though it can be used.
    Warning,
    /// Ordinary.
    Note,
}

/// Findings kept in one report: more than anybody mends by hand, and small enough to lay over a map.
pub const FINDINGS_MAX: usize = 10_000;
/// Findings that a text report lists: as many as a person reads through.
pub const FINDINGS_SHOWN: usize = 50;
/// Overlaps and gaps below this are not listed. Published coordinates are rounded to 1 cm or 10 cm, which moves a border of
/// some kilometres by less than a square metre in all; and no establishment fits in one.
pub const OVERLAY_TOLERANCE_M2: f64 = 1.0;
/// An overlap or gap whose mean width stays below one metre is a border drawn twice: geocoding is no finer than that.
pub const SLIVER_WIDTH_M: f64 = 1.0;
/// A part of a zone below this holds no establishment with its yard.
pub const FRAGMENT_M2: f64 = 100.0;

impl Kind {
    /// A stable word for reports, the same as the code of the fault.
    pub fn code(self) -> &'static str {
        match self {
            Self::ZoneCount => "zone_count",
            Self::NoZone => "no_zone",
            Self::BadCode => "bad_code",
            Self::DuplicateCode => "duplicate_code",
            Self::RingTooShort => "ring_too_short",
            Self::RingCrosses => "ring_crosses",
            Self::RingsDisagree => "rings_disagree",
            Self::RingFlat => "ring_flat",
            Self::Tangled => "tangled",
            Self::OutsideTerritory => "outside_territory",
            Self::Overlap => "overlap",
            Self::Gap => "gap",
            Self::Uncovered => "uncovered",
            Self::BeyondTerritory => "beyond_territory",
            Self::Fragment => "fragment",
            Self::SelfTouch => "self_touch",
            Self::Sliver => "sliver",
            Self::SliverGap => "sliver_gap",
            Self::Hole => "hole",
            Self::IsolatedPart => "isolated_part",
            Self::Detached => "detached",
        }
    }
    /// How much it matters.
    pub fn severity(self) -> Severity {
        match self {
            Self::ZoneCount
            | Self::NoZone
            | Self::BadCode
            | Self::DuplicateCode
            | Self::RingTooShort
            | Self::RingCrosses
            | Self::RingsDisagree
            | Self::RingFlat
            | Self::Tangled
            | Self::OutsideTerritory => Severity::Blocking,
            Self::Overlap | Self::Gap | Self::Uncovered | Self::BeyondTerritory | Self::Fragment | Self::SelfTouch => {
                Severity::Warning
            }
            Self::Sliver | Self::SliverGap | Self::Hole | Self::IsolatedPart | Self::Detached => Severity::Note,
        }
    }
}

impl Severity {
    /// A stable word for reports.
    pub fn code(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl TopologyReport {
    /// Adds a finding, or counts it when there are enough.
    pub(super) fn add(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }
    /// Whether the list is full, so that looking for more of the ordinary kinds is not worth its time.
    pub(super) fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }
    /// Gravest and largest first.
    pub(super) fn sort(&mut self) {
        let order = |f: &Finding| (f.kind, f.zones.clone(), f.place.map(|(x, y)| (x.to_bits(), y.to_bits())));
        self.findings.sort_by(|a, b| {
            a.kind.cmp(&b.kind).then(b.area_m2.total_cmp(&a.area_m2)).then_with(|| order(a).cmp(&order(b)))
        });
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind.severity().code(), self.kind.code())?;
        match (&self.zones[..], self.kind) {
            ([], _) => {}
            (zones, Kind::Gap | Kind::SliverGap | Kind::Uncovered) => write!(f, " beside {}", quoted(zones))?,
            ([one], _) => write!(f, " of zone `{one}`")?,
            (several, _) => write!(f, " of zones {}", quoted(several))?,
        }
        if self.area_m2 > 0.0 {
            write!(f, ", {:.0} m²", self.area_m2)?;
        }
        match self.place {
            Some((x, y)) => write!(f, ", near ({x:.1}, {y:.1})"),
            None => Ok(()),
        }
    }
}

fn quoted(zones: &[String]) -> String {
    zones.iter().map(|z| format!("`{z}`")).collect::<Vec<_>>().join(" and ")
}

/// A line of sums, then warnings and notes, the first [`FINDINGS_SHOWN`] of them; what blocks is told as errors, with its
/// record.
impl std::fmt::Display for TopologyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} zones, {} vertices, {:.3} km²", self.zones, self.vertices, self.area_m2 / 1e6)?;
        if !self.overlaid {
            write!(f, "; overlaps and gaps were not looked for to the end")?;
        }
        if self.below_tolerance > 0 {
            write!(f, "; {} overlaps or gaps below {OVERLAY_TOLERANCE_M2} m² not listed", self.below_tolerance)?;
        }
        let said: Vec<&Finding> =
            self.findings.iter().filter(|finding| finding.kind.severity() != Severity::Blocking).collect();
        for finding in said.iter().take(FINDINGS_SHOWN) {
            write!(f, "\n{finding}")?;
        }
        match said.len().saturating_sub(FINDINGS_SHOWN) + self.unlisted {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}
