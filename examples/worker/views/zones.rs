use super::table;
use crate::{names::Names, service::WrongInput};
use anyhow::{anyhow, ensure};

/// Writes into each DNS zone and takes that away again, and shows which can be written.
///
/// # Errors
/// Also where one cannot, after the table.
pub(crate) async fn zones(names: Option<Names>) -> anyhow::Result<()> {
    let names = names.ok_or_else(|| anyhow!("the file names no zones").context(WrongInput("dns")))?;
    let checks = names.providers.check(&names.zones).await;
    let rows = checks.iter().map(|check| {
        let said = match &check.outcome {
            Ok(()) => "yes".to_owned(),
            Err(error) => format!("no: {error}"),
        };
        [check.provider.to_string(), check.zone.to_string(), said]
    });
    table::print(["Provider", "Zone", "Can be written"], rows.collect(), "no zones");
    let refused = checks.iter().filter(|check| check.outcome.is_err()).count();
    ensure!(refused == 0, "{refused} of {} zones cannot be written", checks.len());
    Ok(())
}
