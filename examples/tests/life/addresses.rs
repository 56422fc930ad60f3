//! Addresses.

use crate::tale::Tale;

pub(super) fn addresses(tale: &mut Tale<'_>) {
    tale.done("set_dedicated_ip", |machine| {
        machine.v4 = vec!["203.0.113.11".to_owned()];
        // The old one rests.
        machine.free_v4 -= 1;
    });
    tale.done("set_dedicated_ip", |machine| {
        machine.v6 = vec!["2001:db8:1::1001".to_owned()];
        machine.free_v6 -= 1;
    });
    tale.done("add_address", |machine| {
        machine.v4.push("203.0.113.12".to_owned());
        machine.free_v4 -= 1;
    });
    tale.done("remove_address", |machine| machine.v4.truncate(1));
    tale.done("(somebody forgets its name)", |machine| machine.is_named = false);
    tale.done("set_dns_records", |machine| machine.is_named = true);
}
