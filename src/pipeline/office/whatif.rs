//! What a version that was sent would change, if it took the place of the one served now.

use super::drafts::{no_past, not_published};
use super::jobs::apart;
use super::{Fault, FaultKind, Office, Who, now};
use crate::model::Role;
use crate::pipeline::inputs::{NoInputs, order_of};
use crate::pipeline::ledger;
use crate::pipeline::whatif::{Reader, WhatIf, what_if};
use crate::steps::seal;
use serde_json::Value;

impl Office {
    /// What a version would change: ground, establishments and cells, and whether it could be published at all.
    ///
    /// Partners read no figure of establishments and no name of an unsafe cell.
    ///
    /// # Errors
    /// None of this name; nothing served to compare with; a file refused; the store's.
    pub async fn what_if(&self, who: &Who, zoning: &str, version: &str) -> Result<Value, Fault> {
        let reader = match who.role {
            Role::Gis | Role::Owner => Reader::Owner,
            Role::Partner(_) => Reader::Partner,
        };
        let asked = self.asked(zoning, version).await?;
        apart((), move || Ok(asked.json(reader))).await
    }

    /// The ground that would move, as GeoJSON to lay over a map.
    ///
    /// # Errors
    /// As [`Office::what_if`].
    pub async fn what_if_map(&self, zoning: &str, version: &str) -> Result<Value, Fault> {
        let asked = self.asked(zoning, version).await?;
        apart((), move || Ok(asked.geojson())).await
    }

    /// The establishments that would change zone, as CSV: for those alone who may see single establishments.
    ///
    /// # Errors
    /// As [`Office::what_if`].
    pub async fn what_if_moves(&self, zoning: &str, version: &str) -> Result<String, Fault> {
        let asked = self.asked(zoning, version).await?;
        apart((), move || Ok(asked.movers_csv())).await
    }

    async fn asked(&self, zoning: &str, version: &str) -> Result<WhatIf, Fault> {
        let nothing = || {
            let expected = "a release to compare with, which drafting and publishing make";
            Fault::conflict("nothing_served", "service", "no release served", expected)
        };
        self.kept_zoning(zoning, version).await?;
        let turn = self.long_turn().await?;
        let proposed = self.upload_of(zoning, version).await?;
        let served = self.desk().current().await?.ok_or_else(nothing)?;
        let served = apart((), move || seal::unseal(&served.bytes).map_err(Fault::broken)).await?;
        let policy = ledger::policy_in_force(self.desk()).await.map_err(Fault::broken)?;
        let policy = policy.ok_or_else(|| Fault::conflict("no_policy", "policy", "none in force", "one"))?;
        let order = order_of(self.desk(), &served, policy, now()).await.map_err(no_inputs)?;
        let past = ledger::past(self.desk()).await.map_err(no_past)?;
        apart(turn, move || what_if(&order, &proposed, Some(&served), &past).map_err(not_published)).await
    }
}

fn no_inputs(no: NoInputs) -> Fault {
    let text = no.to_string();
    match no {
        NoInputs::Past(past) => no_past(past),
        NoInputs::NotListed { .. } | NoInputs::Missing { .. } => {
            let expected = "one whose inputs are all in this store";
            Fault::said(FaultKind::Conflict, "inputs_missing", "release", &text, expected)
        }
        NoInputs::Unknown { .. } => Fault::broken(text),
    }
}
