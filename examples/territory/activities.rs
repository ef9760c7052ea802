//! The mix of activities: which NAF rév. 2 sub-classes are frequent, where they like to be, and how large they are.

/// NAF rév. 2 as the service itself knows it: two lines of heading, then a dotted sub-class at the start of each line.
pub const NAF: &str = include_str!("../../data/codes/naf_rev2.tsv");

/// Where an establishment likes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// The streets in the middle of Dijon.
    Centre,
    /// Wherever people live.
    Town,
    /// An activity zone.
    Zone,
    /// One of a few shopping malls.
    Mall,
    /// Fields and villages.
    Country,
    /// The slopes in the south-west.
    Vineyard,
}

pub struct Activity {
    /// Sub-class without the dot, as the Sirene register writes it.
    pub naf: &'static str,
    /// How frequent, relative to the others.
    pub weight: f64,
    pub setting: Setting,
    /// Shifts the logarithm of the headcount.
    pub size: f64,
    /// The share of its establishments which belong to the farm scheme (MSA): farms and landscapers all of them, some of
    /// the food industry, wholesale and banking, since cooperatives and their subsidiaries belong to it too.
    pub msa: f64,
}

const fn a(naf: &'static str, weight: f64, setting: Setting, size: f64, msa: f64) -> Activity {
    Activity { naf, weight, setting, size, msa }
}

use Setting::{Centre, Country, Mall, Town, Vineyard, Zone};

#[rustfmt::skip]
pub const ACTIVITIES: &[Activity] = &[
    // farms and landscape
    a("0111Z", 11.4, Country, -0.6, 1.0), a("0113Z", 3.9, Country, -0.2, 1.0), a("0121Z", 19.5, Vineyard, -0.1, 1.0),
    a("0141Z", 2.0, Country, -0.6, 1.0), a("0142Z", 2.0, Country, -0.6, 1.0), a("0143Z", 2.6, Country, -0.5, 1.0), a("0150Z", 5.2, Country, -0.5, 1.0),
    a("0161Z", 5.9, Country, -0.2, 1.0), a("0162Z", 1.3, Country, -0.3, 1.0), a("0210Z", 1.3, Country, -0.2, 1.0), a("0220Z", 2.0, Country, -0.3, 1.0),
    a("8130Z", 21.1, Country, 0.1, 1.0), a("9104Z", 0.8, Country, 0.8, 0.2),
    // food industry
    a("1013B", 3.0, Town, 0.0, 0.15), a("1071C", 22.0, Town, 0.5, 0.0), a("1071D", 3.0, Town, 0.3, 0.0), a("1051A", 1.0, Zone, 1.3, 0.8),
    a("1084Z", 1.2, Zone, 1.2, 0.3), a("1102B", 1.5, Vineyard, 0.3, 0.8), a("1089Z", 1.0, Zone, 0.9, 0.5), a("1091Z", 0.7, Zone, 0.9, 0.9),
    // industry
    a("1812Z", 3.5, Zone, 0.6, 0.0), a("2120Z", 1.2, Zone, 2.6, 0.0), a("2229A", 2.0, Zone, 1.5, 0.0), a("2511Z", 2.5, Zone, 0.9, 0.0),
    a("2561Z", 1.2, Zone, 1.2, 0.0), a("2562B", 4.0, Zone, 1.1, 0.0), a("2651B", 1.2, Zone, 1.6, 0.0), a("2712Z", 0.8, Zone, 2.0, 0.0),
    a("2829B", 1.2, Zone, 1.4, 0.0), a("3109B", 1.5, Zone, 0.4, 0.0), a("3250A", 4.0, Zone, 0.3, 0.0), a("3312Z", 4.0, Zone, 0.7, 0.0), a("3320B", 1.5, Zone, 0.9, 0.0),
    a("3513Z", 0.8, Zone, 2.2, 0.0), a("3600Z", 0.8, Zone, 1.6, 0.0), a("3811Z", 1.2, Zone, 1.5, 0.0), a("3832Z", 1.0, Zone, 1.0, 0.0),
    // construction
    a("4120A", 9.0, Town, 0.5, 0.0), a("4120B", 5.0, Zone, 0.8, 0.0), a("4211Z", 2.0, Zone, 1.9, 0.0), a("4312A", 4.0, Zone, 0.7, 0.0), a("4321A", 17.0, Town, 0.5, 0.0),
    a("4322A", 14.0, Town, 0.3, 0.0), a("4322B", 9.0, Zone, 0.6, 0.0), a("4329A", 4.0, Zone, 0.5, 0.0), a("4331Z", 8.0, Town, 0.3, 0.0), a("4332A", 13.0, Town, 0.2, 0.0),
    a("4333Z", 8.0, Town, 0.2, 0.0), a("4334Z", 15.0, Town, 0.3, 0.0), a("4391B", 8.0, Town, 0.3, 0.0), a("4399C", 19.0, Town, 0.4, 0.0),
    // trade
    a("4511Z", 12.0, Zone, 0.8, 0.0), a("4520A", 18.0, Zone, 0.2, 0.0), a("4532Z", 6.0, Zone, 0.6, 0.0), a("4540Z", 2.0, Zone, 0.2, 0.0), a("4619B", 9.0, Zone, -0.4, 0.0),
    a("4621Z", 2.5, Zone, 0.6, 0.85), a("4631Z", 3.0, Zone, 0.7, 0.4), a("4634Z", 6.0, Vineyard, 0.2, 0.35), a("4661Z", 3.0, Zone, 0.6, 0.4), a("4639B", 2.0, Zone, 1.0, 0.1),
    a("4669B", 7.0, Zone, 0.6, 0.0), a("4673A", 6.0, Zone, 0.6, 0.0), a("4674A", 4.0, Zone, 0.6, 0.0), a("4690Z", 5.0, Zone, 0.1, 0.0),
    a("4711B", 11.0, Town, -0.1, 0.0), a("4711D", 6.0, Town, 1.5, 0.0), a("4711F", 2.2, Mall, 3.1, 0.0), a("4719B", 3.0, Mall, 0.7, 0.0), a("4721Z", 3.0, Centre, -0.2, 0.0),
    a("4722Z", 9.0, Town, 0.1, 0.0), a("4724Z", 6.0, Town, 0.1, 0.0), a("4725Z", 5.0, Centre, -0.2, 0.0), a("4726Z", 9.0, Town, -0.1, 0.0), a("4730Z", 4.0, Zone, 0.1, 0.0),
    a("4741Z", 2.0, Mall, 0.2, 0.0), a("4743Z", 2.0, Mall, 0.2, 0.0), a("4752B", 5.0, Mall, 1.5, 0.0), a("4754Z", 3.0, Mall, 0.8, 0.0), a("4759A", 9.0, Mall, 0.5, 0.0),
    a("4759B", 6.0, Centre, 0.2, 0.0), a("4761Z", 3.0, Centre, 0.2, 0.0), a("4764Z", 5.0, Mall, 0.7, 0.0), a("4771Z", 39.0, Centre, 0.1, 0.0), a("4772A", 9.0, Centre, 0.0, 0.0),
    a("4773Z", 16.0, Town, 0.6, 0.0), a("4774Z", 4.0, Town, 0.2, 0.0), a("4775Z", 8.0, Centre, 0.2, 0.0), a("4776Z", 11.0, Town, -0.1, 0.1), a("4777Z", 9.0, Centre, -0.1, 0.0),
    a("4778A", 14.0, Town, 0.0, 0.0), a("4778C", 18.0, Centre, -0.2, 0.0), a("4779Z", 5.0, Centre, -0.2, 0.0), a("4781Z", 5.0, Town, -0.4, 0.0), a("4791B", 7.0, Town, -0.2, 0.0),
    // transport, hotels, restaurants
    a("4932Z", 9.0, Town, -0.1, 0.0), a("4939B", 1.5, Zone, 1.5, 0.0), a("4941A", 7.0, Zone, 1.4, 0.0), a("4941B", 6.0, Zone, 0.6, 0.0), a("5210B", 3.0, Zone, 1.2, 0.0),
    a("5229B", 3.0, Zone, 1.2, 0.0), a("5320Z", 3.0, Zone, 1.0, 0.0), a("5510Z", 11.0, Centre, 0.7, 0.0), a("5520Z", 2.0, Town, 0.1, 0.0),
    a("5610A", 68.0, Centre, 0.5, 0.0), a("5610C", 62.0, Town, 0.4, 0.0), a("5621Z", 5.0, Town, 0.3, 0.0), a("5629A", 4.0, Zone, 0.6, 0.0), a("5630Z", 22.0, Centre, 0.0, 0.0),
    // information, finance, property
    a("5814Z", 2.0, Centre, 0.5, 0.0), a("5829C", 5.0, Zone, 0.9, 0.0), a("6110Z", 1.0, Zone, 2.0, 0.0), a("6201Z", 12.0, Zone, 0.5, 0.0), a("6202A", 14.0, Zone, 0.7, 0.0), a("6311Z", 3.0, Zone, 0.5, 0.1),
    a("6419Z", 21.0, Centre, 0.8, 0.28), a("6420Z", 14.0, Centre, -0.2, 0.1), a("6430Z", 3.0, Centre, -0.3, 0.0), a("6512Z", 5.0, Centre, 0.9, 0.3), a("6622Z", 20.0, Town, -0.1, 0.05),
    a("6619B", 6.0, Centre, -0.1, 0.0), a("6820A", 8.0, Town, 0.4, 0.0), a("6820B", 8.0, Centre, -0.3, 0.0), a("6831Z", 21.0, Centre, -0.1, 0.0), a("6832A", 28.0, Town, -0.3, 0.0),
    // services to enterprises
    a("6910Z", 30.0, Centre, 0.1, 0.0), a("6920Z", 20.0, Zone, 0.8, 0.03), a("7010Z", 16.0, Zone, 0.6, 0.04), a("7022Z", 26.0, Town, -0.3, 0.05), a("7111Z", 13.0, Centre, 0.0, 0.0),
    a("7112B", 19.0, Zone, 0.7, 0.02), a("7120B", 5.0, Zone, 0.9, 0.1), a("7219Z", 2.0, Zone, 1.0, 0.2), a("7311Z", 9.0, Centre, 0.0, 0.0), a("7410Z", 5.0, Centre, -0.4, 0.0), a("7500Z", 6.0, Town, 0.2, 0.0),
    a("7711A", 4.0, Zone, 0.1, 0.0), a("7820Z", 14.0, Centre, 2.3, 0.0), a("7830Z", 2.0, Town, 1.0, 0.1), a("7911Z", 5.0, Centre, 0.0, 0.0), a("8010Z", 4.0, Zone, 1.8, 0.0), a("8121Z", 17.0, Zone, 1.2, 0.0),
    a("8122Z", 3.0, Zone, 0.8, 0.0), a("8211Z", 6.0, Town, -0.1, 0.0), a("8220Z", 1.5, Zone, 2.5, 0.0), a("8299Z", 9.0, Zone, 0.2, 0.05),
    // public services, schools, health
    a("8411Z", 7.0, Centre, 1.7, 0.0), a("8412Z", 2.0, Centre, 1.9, 0.0), a("8413Z", 2.0, Centre, 1.6, 0.1), a("8423Z", 1.5, Centre, 2.0, 0.0), a("8424Z", 1.5, Town, 1.8, 0.0), a("8430A", 2.5, Centre, 2.2, 0.3),
    a("8510Z", 6.0, Town, 0.4, 0.0), a("8520Z", 12.0, Town, 0.5, 0.0), a("8531Z", 8.0, Town, 1.6, 0.0), a("8532Z", 3.0, Town, 1.5, 0.15), a("8542Z", 3.0, Centre, 1.6, 0.0), a("8551Z", 12.0, Town, -0.2, 0.0),
    a("8553Z", 7.0, Town, 0.1, 0.0), a("8559A", 14.0, Zone, 0.4, 0.03), a("8559B", 10.0, Town, 0.1, 0.0), a("8610Z", 3.0, Town, 2.6, 0.0), a("8621Z", 27.0, Town, -0.5, 0.0), a("8622C", 15.0, Centre, -0.2, 0.0),
    a("8623Z", 21.0, Town, -0.1, 0.0), a("8690A", 4.0, Zone, 1.1, 0.0), a("8690B", 6.0, Town, 1.0, 0.0), a("8690D", 9.0, Town, -0.4, 0.0), a("8690E", 11.0, Town, -0.5, 0.0), a("8690F", 4.0, Town, 0.1, 0.0),
    a("8710A", 5.0, Town, 2.3, 0.0), a("8710B", 2.0, Town, 2.0, 0.0), a("8730A", 2.5, Town, 2.0, 0.0), a("8790A", 2.5, Town, 1.8, 0.0), a("8810A", 11.0, Town, 1.7, 0.0), a("8810C", 2.0, Zone, 2.5, 0.0),
    a("8891A", 13.0, Town, 1.2, 0.0), a("8899A", 3.0, Town, 1.3, 0.0), a("8899B", 19.0, Town, 1.0, 0.0),
    // leisure, associations, personal services, households
    a("9001Z", 13.0, Town, -0.3, 0.0), a("9003B", 2.0, Centre, -0.5, 0.0), a("9102Z", 1.2, Centre, 1.0, 0.0), a("9311Z", 4.0, Town, 0.5, 0.0), a("9312Z", 21.0, Town, -0.2, 0.0), a("9313Z", 7.0, Town, 0.1, 0.0),
    a("9329Z", 5.0, Town, 0.1, 0.0), a("9411Z", 5.0, Centre, 0.4, 0.2), a("9412Z", 3.0, Centre, 0.2, 0.05), a("9420Z", 4.0, Centre, 0.0, 0.0), a("9491Z", 4.0, Town, -0.1, 0.0), a("9499Z", 68.0, Town, 0.1, 0.03),
    a("9511Z", 3.0, Zone, 0.3, 0.0), a("9529Z", 3.0, Town, -0.2, 0.0), a("9601B", 6.0, Town, 0.1, 0.0), a("9602A", 43.0, Town, -0.1, 0.0), a("9602B", 15.0, Centre, -0.3, 0.0), a("9603Z", 4.0, Town, 0.3, 0.0),
    a("9604Z", 5.0, Mall, 0.1, 0.0), a("9609Z", 13.0, Town, -0.1, 0.0), a("9700Z", 16.0, Town, -1.2, 0.0),
];

/// Activities of chains: sub-class, where their shops are, size of a shop, chains of this kind, and sites at most.
#[rustfmt::skip]
pub const CHAINS: &[(&str, Setting, f64, usize, usize)] = &[
    ("1071C", Town, 0.9, 4, 22), ("4711D", Town, 2.0, 4, 16), ("4711F", Mall, 4.4, 3, 4), ("4711B", Town, 0.8, 2, 12), ("4771Z", Centre, 1.0, 7, 9), ("4773Z", Mall, 1.4, 2, 5),
    ("4778A", Town, 0.8, 4, 10), ("5610C", Mall, 2.6, 5, 11), ("5610A", Mall, 2.1, 3, 7), ("6419Z", Town, 1.6, 7, 28), ("6512Z", Town, 1.2, 3, 14), ("6831Z", Centre, 0.9, 3, 9),
    ("7820Z", Centre, 2.6, 5, 8), ("8121Z", Zone, 2.4, 4, 12), ("8810A", Town, 2.2, 4, 12), ("8891A", Town, 2.0, 3, 18), ("9602A", Town, 1.0, 4, 11), ("4520A", Zone, 1.3, 3, 8),
    ("6920Z", Zone, 2.0, 4, 6), ("4621Z", Zone, 1.6, 2, 10), ("8899B", Town, 2.0, 5, 14), ("8710A", Town, 3.2, 2, 7), ("9313Z", Zone, 0.8, 2, 6),
];
