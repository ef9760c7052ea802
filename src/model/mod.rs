//! What the steps exchange: identifiers, codes, places, records. No step, no store, no clock is named here.

pub mod crs;
pub mod establishment;
pub mod headcount;
pub mod id;
pub mod naf;
pub mod publication;
pub mod reject;
pub mod role;
pub mod zone;

pub use crs::{Crs, Declared, Lambert93, Wgs84, position_text};
pub use establishment::{Establishment, Register, Source};
pub use headcount::{Bracket, Headcount};
pub use id::{ReleaseId, Siren, Siret, ZoneCode};
pub use naf::{Naf, Naf2025};
pub use publication::Stage;
pub use reject::{Read, Reject, Rejects, Unreadable};
pub use role::{Duty, Role};
pub use zone::{Zone, ZoneRecord, Zoning};
