//! The entity data model: which sets there are, what their columns are called and hold, and the CSDL that says so.

use crate::http::filter::{Kind, Queryable, Value};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, Event};
use std::io;

/// Namespace of our types.
const NAMESPACE: &str = "arpent";

/// One set of entities, as the service document and `$metadata` name it.
pub struct Face {
    /// Its name in addresses.
    pub set: &'static str,
    /// The name of its type.
    pub entity: &'static str,
    /// The columns that name a row.
    pub key: &'static [&'static str],
    /// Rows in an answer unless the client prefers fewer.
    pub page_rows: usize,
}

/// Figures: rows of some hundred bytes, so that a page is a few megabytes.
const PAGE_ROWS: usize = 10_000;

/// Contours: a row may be tens of kilobytes.
const PAGE_CONTOURS: usize = 500;

/// The figures of the served publication.
pub const AGGREGATES: Face = Face { set: "Aggregats", entity: "Aggregat", key: &["id"], page_rows: PAGE_ROWS };

/// The figures of every publication that may be read, the oldest first: rows are added and never change.
pub const HISTORY: Face = Face {
    set: "AggregatsHistorique",
    entity: "AggregatHistorique",
    key: &["publication", "id"],
    page_rows: PAGE_ROWS,
};

/// The zones of the served publication.
pub const ZONES: Face = Face { set: "Zones", entity: "Zone", key: &["id"], page_rows: PAGE_ROWS };

/// Their contours.
pub const CONTOURS: Face = Face { set: "Contours", entity: "Contour", key: &["id"], page_rows: PAGE_CONTOURS };

/// Every publication, withdrawn ones included.
pub const PUBLICATIONS: Face = Face { set: "Publications", entity: "Publication", key: &["id"], page_rows: PAGE_ROWS };

/// Every set.
pub const FACES: [Face; 5] = [AGGREGATES, HISTORY, ZONES, CONTOURS, PUBLICATIONS];

/// Types of columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edm {
    Text,
    /// A text of any length, neither filtered nor ordered by.
    LongText,
    Int32,
    Int64,
    Double,
    DateTime,
    Bool,
}

impl Edm {
    fn name(self) -> &'static str {
        match self {
            Self::Text | Self::LongText => "Edm.String",
            Self::Int32 => "Edm.Int32",
            Self::Int64 => "Edm.Int64",
            Self::Double => "Edm.Double",
            Self::DateTime => "Edm.DateTimeOffset",
            Self::Bool => "Edm.Boolean",
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Text | Self::LongText => Kind::Text,
            Self::Int32 | Self::Int64 | Self::Double => Kind::Number,
            Self::DateTime => Kind::DateTime,
            Self::Bool => Kind::Bool,
        }
    }
}

/// What is said of a column.
#[derive(Debug, Clone, Copy)]
pub struct Heading {
    pub name: &'static str,
    pub edm: Edm,
    pub nullable: bool,
}

/// A column of a table, and how a row's value is found.
pub struct Column<T> {
    pub heading: Heading,
    pub get: for<'t> fn(&'t T, usize) -> Cell<'t>,
}

/// What a row has in a column.
pub enum Cell<'t> {
    Value(Value<'t>),
    /// A text made when it is asked for.
    Made(String),
}

/// Rows and columns.
pub trait Table: Sized + 'static {
    fn columns() -> &'static [Column<Self>];
    fn rows(&self) -> usize;
}

/// A column that always has a value.
pub const fn column<T>(name: &'static str, edm: Edm, get: for<'t> fn(&'t T, usize) -> Cell<'t>) -> Column<T> {
    Column { heading: Heading { name, edm, nullable: false }, get }
}

/// A column that may be null.
pub const fn nullable<T>(name: &'static str, edm: Edm, get: for<'t> fn(&'t T, usize) -> Cell<'t>) -> Column<T> {
    Column { heading: Heading { name, edm, nullable: true }, get }
}

/// The columns of a table, as filters and orders see them: by their place.
pub fn queryables<T: Table>() -> Vec<Queryable> {
    let one = |column: &Column<T>| Queryable { name: column.heading.name, kind: column.heading.edm.kind() };
    // Long texts stand last, so that leaving them out moves no other column.
    T::columns().iter().filter(|column| column.heading.edm != Edm::LongText).map(one).collect()
}

/// The headings of a table.
pub fn headings<T: Table>() -> Vec<Heading> {
    T::columns().iter().map(|column| column.heading).collect()
}

/// The document of `$metadata`: CSDL 4.0 in XML, types and sets and nothing that a reader might not know.
pub fn csdl(types: &[(&Face, Vec<Heading>)]) -> io::Result<Vec<u8>> {
    let mut xml = Writer::new(Vec::new());
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let edmx = [("Version", "4.0"), ("xmlns:edmx", "http://docs.oasis-open.org/odata/ns/edmx")];
    xml.create_element("edmx:Edmx").with_attributes(edmx).write_inner_content(|xml| {
        xml.create_element("edmx:DataServices").write_inner_content(|xml| {
            let schema = [("Namespace", NAMESPACE), ("xmlns", "http://docs.oasis-open.org/odata/ns/edm")];
            xml.create_element("Schema").with_attributes(schema).write_inner_content(|xml| {
                types.iter().try_for_each(|(face, headings)| entity_type(xml, face, headings))?;
                xml.create_element("EntityContainer").with_attribute(("Name", "Emploi")).write_inner_content(
                    |xml| {
                        types.iter().try_for_each(|(face, _)| {
                            let entity = format!("{NAMESPACE}.{}", face.entity);
                            let attributes = [("Name", face.set), ("EntityType", entity.as_str())];
                            xml.create_element("EntitySet").with_attributes(attributes).write_empty().map(drop)
                        })
                    },
                )?;
                Ok(())
            })?;
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(xml.into_inner())
}

fn entity_type(xml: &mut Writer<Vec<u8>>, face: &Face, headings: &[Heading]) -> io::Result<()> {
    xml.create_element("EntityType").with_attribute(("Name", face.entity)).write_inner_content(|xml| {
        xml.create_element("Key").write_inner_content(|xml| {
            face.key.iter().try_for_each(|name| {
                xml.create_element("PropertyRef").with_attribute(("Name", *name)).write_empty().map(drop)
            })
        })?;
        headings.iter().try_for_each(|heading| {
            let mut attributes = vec![("Name", heading.name), ("Type", heading.edm.name())];
            if !heading.nullable {
                attributes.push(("Nullable", "false"));
            }
            xml.create_element("Property").with_attributes(attributes).write_empty().map(drop)
        })
    })?;
    Ok(())
}
