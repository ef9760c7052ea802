//! Partners at the doors of the public: the same addresses, and what is published for them.

use crate::http::tests::{Answer, release, send};
use crate::http::{ForPartners, Shelf, Site, Stock, TakenBack, router_with_staff};
use crate::model::{ReleaseId, Role};
use crate::pipeline::office::{Office, Settings, Who};
use crate::steps::publish::Release;
use crate::store::SqliteStore;
use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of releases: the current one and an earlier one, and what partners are given in place of each.
const NOW: &str = "aaaa000000000001";
const NOW_FOR_PARTNERS: &str = "aaaa000000000002";
const BEFORE: &str = "bbbb000000000001";
const BEFORE_FOR_PARTNERS: &str = "bbbb000000000002";

/// What partners alone are shown.
const ALONE: &str = "Vu des partenaires";

/// One address for each face of a release that says what its zones are called.
const FACES: [&str; 9] = [
    "/collections/secteurs/items",
    "/collections/secteurs/items?f=csv",
    "/collections/secteurs/items?f=html",
    "/collections/secteurs/items/S01",
    "/collections/secteurs/tiles/WebMercatorQuad/12/1435/2104",
    "/telechargements/secteurs.csv",
    "/telechargements/tableaux.csv",
    "/odata/Aggregats?$filter=zone_id eq 'secteurs.S01'",
    "/odata/Zones",
];

struct Town {
    house: Router,
    shelf: Shelf,
    office: Office,
}

fn named(id: &str, label: &str) -> Arc<Release> {
    let mut release = Release { id: ReleaseId::from_digest(id), ..release() };
    release.zonings[0].zones[0].label = label.to_owned();
    Arc::new(release)
}

/// Two releases, each with one for partners.
fn stock() -> Stock {
    let other = |id: &str| ForPartners { release: id.to_owned(), open: Some(named(id, ALONE)) };
    Stock {
        current: Some(named(NOW, "Centre")),
        earlier: vec![named(BEFORE, "Centre")],
        for_partners: BTreeMap::from([
            (NOW.to_owned(), other(NOW_FOR_PARTNERS)),
            (BEFORE.to_owned(), other(BEFORE_FOR_PARTNERS)),
        ]),
        ..Stock::default()
    }
}

impl Town {
    async fn new(stock: Stock) -> Self {
        let office = Office::new(Arc::new(SqliteStore::in_memory().await.unwrap()), Settings::default(), |_| ());
        let shelf = Shelf::new();
        shelf.fill(stock);
        Self { house: router_with_staff(shelf.clone(), Site::default(), office.clone()), shelf, office }
    }
    /// A key and its public name.
    async fn key(&self, role: &str) -> (String, String) {
        let role: Role = role.parse().unwrap();
        let told = self.office.new_key(&Who::operator("test"), "Jeanne Martin", &role, None).await.unwrap();
        (format!("Bearer {}", told["key"].as_str().unwrap()), told["id"].as_str().unwrap().to_owned())
    }
    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        send(&self.house, Method::GET, &path.replace(' ', "%20"), headers).await
    }
    async fn with_key(&self, path: &str, key: &str) -> Answer {
        self.get(path, &[("authorization", key)]).await
    }
}

fn alike(one: &Answer, other: &Answer) -> bool {
    let without_id = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        headers
    };
    (one.status, &one.body, without_id(one)) == (other.status, &other.body, without_id(other))
}

#[tokio::test]
async fn a_partner_is_shown_what_is_for_partners_at_every_face_and_the_public_what_it_was_shown_before() {
    let town = Town::new(stock()).await;
    let alone = Town::new(Stock { for_partners: BTreeMap::new(), ..stock() }).await;
    let ([partner, owner, gis], revoked) = {
        let [a, b, c] = [town.key("partner:msa").await, town.key("owner").await, town.key("gis").await];
        let (revoked, id) = town.key("partner:urssaf").await;
        town.office.revoke_key(&Who::operator("test"), &id).await.unwrap();
        ([a.0, b.0, c.0], revoked)
    };
    for path in FACES {
        let public = town.get(path, &[]).await;
        assert_eq!(public.status, StatusCode::OK, "{path}: {}", String::from_utf8_lossy(&public.body));
        assert!(!String::from_utf8_lossy(&public.body).contains(ALONE), "{path}");
        assert!(alike(&public, &alone.get(path, &[]).await), "{path}: nothing tells that there is more");
        let tag = public.header("etag").to_owned();
        for key in [&partner, &owner] {
            for headers in [
                vec![("authorization", key.as_str())],
                vec![("authorization", key.as_str()), ("if-none-match", &tag), ("range", "bytes=0-3")],
                vec![("x-api-key", key.trim_start_matches("Bearer "))],
            ] {
                let told = town.get(path, &headers).await;
                assert_eq!(told.status, StatusCode::OK, "{path}");
                assert!(String::from_utf8_lossy(&told.body).contains(ALONE), "{path}");
                assert_eq!(told.header("cache-control"), "private, no-store", "{path}");
                let vary: Vec<_> = told.headers.get_all("vary").iter().map(|v| v.to_str().unwrap()).collect();
                assert!(vary.join(", ").contains("Authorization"), "{path}: {vary:?}");
                assert!(!told.headers.contains_key("etag"), "{path}");
            }
            let head = send(&town.house, Method::HEAD, &path.replace(' ', "%20"), &[("authorization", key)]).await;
            assert!(head.body.is_empty() && head.header("cache-control") == "private, no-store", "{path}");
        }
        // A key that is shown nothing more changes nothing but what it did before.
        for key in [&gis, &revoked, "Bearer arpent_00_00", "Basic !"] {
            let told = town.with_key(path, key).await;
            match path.starts_with("/odata") {
                true if *key == gis => {
                    assert_eq!((&told.body, told.header("cache-control")), (&public.body, "no-store"))
                }
                true => assert_eq!(told.status, StatusCode::UNAUTHORIZED, "{path}"),
                false => assert!(alike(&told, &public), "{path}: {key}"),
            }
        }
        assert!(alike(&public, &town.get(path, &[]).await), "{path}: and after");
    }
}

#[tokio::test]
async fn a_key_in_the_address_is_in_no_link_and_is_refused_where_it_shows_nothing_more() {
    let town = Town::new(stock()).await;
    let (partner, gis) = (town.key("partner:msa").await.0, town.key("gis").await.0);
    let path = |key: &str| {
        let key = key.trim_start_matches("Bearer ").to_owned();
        format!("/collections/secteurs/items?limit=2&api_key={key}")
    };
    let told = town.get(&path(&partner), &[]).await;
    assert!(told.text().contains(ALONE) && told.text().contains("limit=2"), "{}", told.text());
    let links: Vec<_> = told.headers.get_all("link").iter().map(|link| link.to_str().unwrap()).collect();
    assert!(!links.is_empty() && !format!("{links:?}{}", told.text()).contains("api_key"), "{links:?}");
    for key in [&gis, "arpent_00_00"] {
        assert_eq!(town.get(&path(key), &[]).await.status, StatusCode::BAD_REQUEST, "as any parameter that is unknown");
    }
}

#[tokio::test]
async fn counts_tell_nobody_how_long_the_answers_to_partners_are() {
    let town = Town::new(stock()).await;
    let key = town.key("partner:msa").await.0;
    let bytes = async || {
        let text = town.get("/metrics", &[]).await.text();
        let of_items = |line: &&str| line.contains("bytes") && line.contains("/items\"");
        text.lines().filter(of_items).map(str::to_owned).collect::<Vec<_>>()
    };
    town.get(FACES[0], &[]).await;
    let before = bytes().await;
    assert!(before.iter().any(|line| !line.ends_with(" 0")), "{before:?}");
    town.with_key(FACES[0], &key).await;
    assert_eq!(bytes().await, before);
}

#[tokio::test]
async fn names_of_releases_lead_partners_to_theirs_which_go_when_the_public_ones_do() {
    let town = Town::new(stock()).await;
    let key = town.key("partner:msa").await.0;
    let items = |release: &str| format!("/collections/secteurs@{release}/items/S01");
    for (public, other) in [(NOW, NOW_FOR_PARTNERS), (BEFORE, BEFORE_FOR_PARTNERS)] {
        assert_eq!(town.get(&items(public), &[]).await.status, StatusCode::OK);
        assert_eq!(town.get(&items(other), &[]).await.status, StatusCode::NOT_FOUND, "it is a name to nobody else");
        for name in [public, other] {
            assert!(town.with_key(&items(name), &key).await.text().contains(ALONE), "{name}");
        }
    }
    let listed = town.with_key("/odata/Publications", &key).await.json();
    let ids: Vec<_> = listed["value"].as_array().unwrap().iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, [json!(NOW_FOR_PARTNERS), json!(BEFORE_FOR_PARTNERS)]);

    let gone = |id: &str| TakenBack { release: id.into(), at: "2026-04-02T00:00:00Z".into(), reason: "Erreur.".into() };
    town.shelf.take_back(gone(NOW));
    for headers in [vec![], vec![("authorization", key.as_str())]] {
        for path in ["/collections", "/odata/Aggregats", &items(NOW)] {
            assert_eq!(town.get(path, &headers).await.status, StatusCode::GONE, "{path} {headers:?}");
        }
        assert_eq!(town.get(&items(BEFORE), &headers).await.status, StatusCode::OK);
    }
    assert_eq!(town.with_key(&items(NOW_FOR_PARTNERS), &key).await.status, StatusCode::GONE);
    assert_eq!(town.get(&items(NOW_FOR_PARTNERS), &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_for_partners_and_not_open_yet_is_waited_for_and_never_replaced_by_less() {
    let closed = |id: &str| ForPartners { release: id.to_owned(), open: None };
    let town =
        Town::new(Stock { for_partners: BTreeMap::from([(NOW.to_owned(), closed(NOW_FOR_PARTNERS))]), ..stock() })
            .await;
    let key = town.key("partner:msa").await.0;
    for path in ["/collections/secteurs/items", "/telechargements/secteurs.csv"] {
        let told = town.with_key(path, &key).await;
        assert_eq!((told.status, &told.json()["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("still_closed")));
        assert_eq!(town.get(path, &[]).await.status, StatusCode::OK);
    }
    let before = format!("/collections/secteurs@{BEFORE}/items");
    assert_eq!(
        town.with_key(&before, &key).await.body,
        town.get(&before, &[]).await.body,
        "where none is, the public one"
    );
}
