//! DCAT-AP 3 as JSON-LD, for portals that harvest (data.gouv.fr, DataSud, data.europa.eu).
//!
//! A zoning is a dataset that lasts; its distributions are those of the current release. Releases that were current once
//! are datasets of their own, which say that they were replaced. A release that was taken back leaves a dataset without
//! distributions, whose status says so with the day and the reason.

use super::{Current, File, KEYWORDS, Stock, TITLE, bounds, days, description, permanent};
use crate::http::downloads::{FileFormat, TABLES};
use crate::http::ogc::query::{Ask, encode};
use crate::http::ogc::view;
use crate::http::state::{Place, Shelved, TakenBack};
use crate::steps::publish::{Release, ReleasedZoning};
use serde_json::{Value, json};
use std::sync::Arc;

/// Authority tables of the Publications Office of the European Union.
const AUTHORITY: &str = "http://publications.europa.eu/resource/authority";

/// A way for programs to ask for zones and figures.
struct Api {
    name: &'static str,
    title: &'static str,
    words: &'static str,
    endpoint: &'static str,
    description: &'static str,
    conforms_to: &'static str,
    /// What a zoning is got as; nothing where every cell is asked for instead.
    faces: &'static [Face],
}

/// A zoning as an API gives it.
struct Face {
    name: &'static str,
    title: &'static str,
    /// What follows the address of the zoning.
    path: &'static str,
    media: &'static str,
    kind: Kind,
}

/// What a distribution is, for portals.
#[derive(Clone, Copy)]
enum Kind {
    /// In the table of file types of the Publications Office.
    Listed(&'static str),
    /// In no table: by its name.
    Named(&'static str),
}

const APIS: [Api; 3] = [
    Api {
        name: "ogc-api-features",
        title: "OGC API – Features",
        words: "Zones et chiffres publiés, page par page ou choisis, pour QGIS, Power BI et les programmes.",
        endpoint: "/",
        description: "/api",
        conforms_to: "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
        faces: &[
            Face {
                name: "geojson",
                title: "GeoJSON, OGC API – Features",
                path: "/items",
                media: view::GEOJSON,
                kind: Kind::Listed("GEOJSON"),
            },
            Face {
                name: "topojson",
                title: "TopoJSON",
                path: "/items?f=topojson",
                media: view::JSON,
                kind: Kind::Named("TopoJSON"),
            },
        ],
    },
    Api {
        name: "ogc-api-tiles",
        title: "OGC API – Tiles",
        words: "Contours et chiffres publiés, en tuiles vectorielles, pour les cartes en ligne.",
        endpoint: "/",
        description: "/api",
        conforms_to: "http://www.opengis.net/spec/ogcapi-tiles-1/1.0/conf/core",
        faces: &[Face {
            name: "tuiles",
            title: "tuiles vectorielles, OGC API – Tiles",
            path: "/tiles",
            media: "application/vnd.mapbox-vector-tile",
            kind: Kind::Named("Mapbox Vector Tile"),
        }],
    },
    Api {
        name: "odata",
        title: "OData 4.0",
        words: "Tous les chiffres publiés, filtrés et triés à la demande, pour Power BI et Excel.",
        endpoint: "/odata/",
        description: "/odata/$metadata",
        conforms_to: "https://docs.oasis-open.org/odata/odata/v4.0/odata-v4.0-part1-protocol.html",
        faces: &[],
    },
];

/// The whole catalogue.
pub fn catalogue(ask: &Ask, stock: &Stock) -> Value {
    let graph = Graph { ask };
    let mut datasets = Vec::new();
    let mut nodes = Vec::new();
    if let Some(current) = &stock.current {
        datasets.extend(graph.current(current));
    }
    datasets.extend(stock.shelf.earlier().iter().map(|shelved| graph.earlier(shelved)));
    datasets.extend(stock.shelf.withdrawn().iter().map(|taken_back| graph.tombstone(taken_back)));
    let newest = stock.shelf.releases().next().map(|shelved| &shelved.release);
    nodes
        .extend(newest.iter().flat_map(|release| APIS.iter().filter_map(|api| graph.service(api, release, &datasets))));
    let services: Vec<Value> = nodes.iter().map(|service| id(&service["@id"])).collect();
    let mut catalogue = json!({
        "@id": graph.named("catalogue"),
        "@type": "dcat:Catalog",
        "dct:title": french(TITLE),
        "dct:description": french(view::DESCRIPTION),
        "dct:language": authority("language/FRA"),
        "dct:publisher": graph.publisher(newest.map(|release| &**release)),
        "foaf:homepage": { "@id": ask.href("/", &[]), "@type": "foaf:Document" },
        "dcat:themeTaxonomy": authority("data-theme"),
        "dcat:dataset": datasets.iter().map(|dataset| id(&dataset["@id"])).collect::<Vec<_>>(),
        "dcat:service": services,
    });
    if let Some(release) = newest {
        catalogue["dct:modified"] = date_time(&release.provenance.updated);
        catalogue["dct:license"] = graph.licence(release);
    }
    nodes.insert(0, catalogue);
    nodes.extend(datasets);
    json!({ "@context": context(), "@graph": nodes })
}

struct Graph<'a> {
    ask: &'a Ask,
}

impl Graph<'_> {
    /// The address of a thing of the catalogue.
    fn named(&self, name: &str) -> String {
        self.ask.href(&format!("/catalogue#{}", encode(name, "")), &[])
    }

    /// The datasets of the current release: its zonings, then every cell.
    fn current(&self, current: &Current) -> Vec<Value> {
        let release = &current.shelved.release;
        let zonings = release.zonings.iter().zip(&current.zonings);
        let mut datasets: Vec<Value> = zonings.map(|(zoning, files)| self.zoning(release, zoning, files)).collect();
        let words = "Tous les chiffres publiés, une ligne par zone, activité, taille et source, pour chaque millésime. Une \
                     combinaison absente n'a aucun établissement ; une valeur secrète est vide et accompagnée du statut \
                     « secret ».";
        let mut all = self.dataset(TABLES, "Tous les tableaux publiés", words, release, &release.zonings);
        all["dcat:landingPage"] = page(&self.ask.href("/telechargements?f=html", &[]));
        let files = current.tables.iter().flat_map(|(vintage, files)| files.iter().map(move |file| (vintage, file)));
        let distributions = files.map(|(vintage, file)| {
            let href = file.wanted.href(self.ask);
            self.file(&format!("{TABLES}-{vintage}"), &format!("Tous les tableaux {vintage}"), &href, release, file)
        });
        all["dcat:distribution"] = distributions.collect();
        datasets.push(all);
        datasets
    }

    fn zoning(&self, release: &Release, zoning: &ReleasedZoning, files: &[File]) -> Value {
        let home = format!("/collections/{}", encode(&zoning.id, ""));
        let words = description(zoning);
        let mut dataset = self.dataset(&zoning.id, &zoning.title, &words, release, std::slice::from_ref(zoning));
        dataset["dcat:landingPage"] = page(&self.ask.href(&format!("{home}?f=html"), &[]));
        let files = files.iter().map(|file| {
            let title = format!("{}, dernier millésime", zoning.title);
            self.file(&zoning.id, &title, &file.wanted.lasting_href(self.ask), release, file)
        });
        let asked = self.asked(&zoning.id, &zoning.title, &home, release);
        dataset["dcat:distribution"] = files.chain(asked).collect();
        dataset
    }

    /// A zoning as the APIs give it.
    fn asked(&self, name: &str, title: &str, home: &str, release: &Release) -> Vec<Value> {
        let faces = APIS.iter().flat_map(|api| api.faces.iter().map(move |face| (api, face)));
        let node = |(api, face): (&Api, &Face)| {
            let title = format!("{title}, contours et chiffres ({})", face.title);
            let mut node = self.distribution(&format!("{name}-{}", face.name), &title, release);
            node["dcat:accessURL"] = json!({ "@id": self.ask.href(&format!("{home}{}", face.path), &[]) });
            node["dcat:accessService"] = json!({ "@id": self.named(api.name) });
            node["dcat:mediaType"] = media_type(face.media);
            node["dct:format"] = file_type(face.kind);
            node
        };
        faces.map(node).collect()
    }

    /// A release that was current once.
    fn earlier(&self, shelved: &Arc<Shelved>) -> Value {
        let release = &shelved.release;
        let words = "Cette publication a été remplacée par une plus récente ; elle reste consultable telle qu'elle a été \
                     publiée.";
        let name = format!("publication-{}", release.id);
        let mut dataset = self.dataset(&name, &shelved.title(), words, release, &release.zonings);
        dataset["adms:status"] = authority("dataset-status/DEPRECATED");
        let places = permanent(shelved);
        let asked = |place: &Place| self.asked(&place.id, &place.zoning().title, &place.home(), release);
        let distributions = places.iter().flat_map(asked);
        dataset["dcat:distribution"] = distributions.collect();
        dataset
    }

    /// A release that was taken back: what it was called, when, and why; nothing to get.
    fn tombstone(&self, taken_back: &TakenBack) -> Value {
        json!({
            "@id": self.named(&format!("publication-{}", taken_back.release)),
            "@type": "dcat:Dataset",
            "dct:identifier": taken_back.release,
            "dct:title": french(&format!("Publication {} (retirée)", taken_back.release)),
            "dct:description": french("Cette publication a été retirée par les producteurs ; ses chiffres ne sont plus diffusés."),
            "adms:status": authority("dataset-status/WITHDRAWN"),
            "adms:versionNotes": french(&taken_back.reason),
            "prov:invalidatedAtTime": date_time(&taken_back.at),
            "dct:modified": date_time(&taken_back.at),
        })
    }

    /// What every dataset that can be had says.
    fn dataset(&self, name: &str, title: &str, words: &str, release: &Release, zonings: &[ReleasedZoning]) -> Value {
        let about = &release.provenance;
        let policy = format!(
            "Source : {}. Chiffres protégés selon la politique de secret version {}, empreinte SHA-256 {}.",
            about.source, about.policy_version, about.policy
        );
        let mut dataset = json!({
            "@id": self.named(name),
            "@type": "dcat:Dataset",
            "dct:identifier": name,
            "dct:title": french(title),
            "dct:description": french(words),
            "dcat:keyword": KEYWORDS.map(french),
            "dcat:theme": [authority("data-theme/ECON"), authority("data-theme/SOCI")],
            "dct:publisher": self.publisher(Some(release)),
            "dct:issued": date_time(&about.updated),
            "dct:modified": date_time(&about.updated),
            "dct:language": authority("language/FRA"),
            "dct:accessRights": authority("access-right/PUBLIC"),
            "dct:accrualPeriodicity": authority("frequency/ANNUAL"),
            "dcat:temporalResolution": { "@type": "xsd:duration", "@value": "P1Y" },
            "dct:license": self.licence(release),
            "dct:provenance": { "@type": "dct:ProvenanceStatement", "rdfs:label": french(&policy) },
            "dcat:version": release.id.as_str(),
        });
        if !about.notice.is_empty() {
            dataset["adms:versionNotes"] = french(&about.notice);
        }
        if let Some((first, last)) = days(release) {
            dataset["dct:temporal"] = json!({
                "@type": "dct:PeriodOfTime",
                "dcat:startDate": { "@type": "xsd:date", "@value": first },
                "dcat:endDate": { "@type": "xsd:date", "@value": last },
            });
        }
        if let Some([west, south, east, north]) = bounds(zonings) {
            let corners = [[west, south], [east, south], [east, north], [west, north], [west, south]];
            let text = corners.map(|[x, y]| format!("{x} {y}")).join(",");
            let geojson = json!({ "type": "Polygon", "coordinates": [corners] });
            dataset["dct:spatial"] = json!({
                "@type": "dct:Location",
                "dcat:bbox": { "@type": "geosparql:wktLiteral", "@value": format!("POLYGON(({text}))") },
                "locn:geometry": {
                    "@type": "https://www.iana.org/assignments/media-types/application/vnd.geo+json",
                    "@value": geojson.to_string(),
                },
            });
        }
        dataset
    }

    fn file(&self, name: &str, title: &str, href: &str, release: &Release, file: &File) -> Value {
        let name = format!("{name}-{}", file.format.extension());
        let mut file_node = self.distribution(&name, &format!("{title} ({})", file.format.title()), release);
        file_node["dcat:accessURL"] = json!({ "@id": href });
        file_node["dcat:downloadURL"] = json!({ "@id": href });
        file_node["dcat:mediaType"] = media_type(file.format.media());
        file_node["dct:format"] = file_type(match file.format {
            FileFormat::Csv => Kind::Listed("CSV"),
            FileFormat::Xlsx => Kind::Listed("XLSX"),
            FileFormat::GeoPackage => Kind::Listed("GPKG"),
            FileFormat::Shapefile => Kind::Listed("SHP"),
            FileFormat::Parquet => Kind::Named("Apache Parquet"),
            FileFormat::FlatGeobuf => Kind::Named("FlatGeobuf"),
        });
        if file.format == FileFormat::Shapefile {
            file_node["dcat:compressFormat"] = media_type("application/zip");
        }
        if let Some(bytes) = file.bytes {
            file_node["dcat:byteSize"] = json!({ "@type": "xsd:nonNegativeInteger", "@value": bytes.to_string() });
        }
        file_node
    }

    fn distribution(&self, name: &str, title: &str, release: &Release) -> Value {
        let about = &release.provenance;
        json!({
            "@id": self.named(name),
            "@type": "dcat:Distribution",
            "dct:title": french(title),
            "dct:license": self.licence(release),
            "dct:rights": { "@type": "dct:RightsStatement", "rdfs:label": french(&format!("Source : {}", about.source)) },
            "dct:issued": date_time(&about.updated),
            "dct:modified": date_time(&about.updated),
            "dct:language": authority("language/FRA"),
        })
    }

    /// An API, with the datasets it gives; `None` when it gives none of these.
    fn service(&self, api: &Api, release: &Release, datasets: &[Value]) -> Option<Value> {
        let name = self.named(api.name);
        let through = |dataset: &&Value| {
            let by_this = |one: &Value| one["dcat:accessService"]["@id"] == name.as_str();
            let has_one = dataset["dcat:distribution"].as_array().is_some_and(|all| all.iter().any(by_this));
            // What gives no zoning by itself gives every cell.
            has_one || api.faces.is_empty() && dataset["dct:identifier"] == TABLES
        };
        let served: Vec<Value> = datasets.iter().filter(through).map(|dataset| id(&dataset["@id"])).collect();
        let node = json!({
            "@id": name,
            "@type": "dcat:DataService",
            "dct:title": french(api.title),
            "dct:description": french(api.words),
            "dcat:endpointURL": { "@id": self.ask.href(api.endpoint, &[]) },
            "dcat:endpointDescription": { "@id": self.ask.href(api.description, &[]) },
            "dct:conformsTo": { "@id": api.conforms_to, "@type": "dct:Standard" },
            "dct:publisher": self.publisher(Some(release)),
            "dct:license": self.licence(release),
            "dct:accessRights": authority("access-right/PUBLIC"),
            "dcat:servesDataset": served,
        });
        (!served.is_empty()).then_some(node)
    }

    /// Whoever the figures come from answers for them.
    fn publisher(&self, release: Option<&Release>) -> Value {
        let name = release.map_or(view::TITLE, |release| release.provenance.source.as_str());
        json!({ "@id": self.named("editeur"), "@type": "foaf:Agent", "foaf:name": french(name) })
    }

    fn licence(&self, release: &Release) -> Value {
        let (address, _) = view::licence(self.ask, release);
        json!({ "@id": address, "@type": "dct:LicenseDocument", "dct:title": french(&release.provenance.licence) })
    }
}

fn context() -> Value {
    json!({
        "adms": "http://www.w3.org/ns/adms#",
        "dcat": "http://www.w3.org/ns/dcat#",
        "dct": "http://purl.org/dc/terms/",
        "foaf": "http://xmlns.com/foaf/0.1/",
        "geosparql": "http://www.opengis.net/ont/geosparql#",
        "locn": "http://www.w3.org/ns/locn#",
        "prov": "http://www.w3.org/ns/prov#",
        "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
    })
}

fn french(words: &str) -> Value {
    json!({ "@language": "fr", "@value": words })
}

fn date_time(rfc3339: &str) -> Value {
    json!({ "@type": "xsd:dateTime", "@value": rfc3339 })
}

fn authority(name: &str) -> Value {
    json!({ "@id": format!("{AUTHORITY}/{name}") })
}

fn file_type(kind: Kind) -> Value {
    match kind {
        Kind::Listed(name) => authority(&format!("file-type/{name}")),
        Kind::Named(name) => json!({ "@type": "dct:MediaTypeOrExtent", "rdfs:label": name }),
    }
}

/// The media type as IANA addresses it, without its parameters.
fn media_type(media: &str) -> Value {
    let name = media.split(';').next().unwrap_or(media);
    json!({ "@id": format!("https://www.iana.org/assignments/media-types/{name}"), "@type": "dct:MediaType" })
}

fn page(href: &str) -> Value {
    json!({ "@id": href, "@type": "foaf:Document" })
}

fn id(address: &Value) -> Value {
    json!({ "@id": address })
}
