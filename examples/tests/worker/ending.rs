//! How it ends, and begins again.

use crate::desk::Desk;

#[test]
fn it_orders_once_and_ends_when_asked() {
    let desk = Desk::new();
    assert!(desk.work_and_stop().contains("ordered=4 going=0"));
    // A machine that leaves the file stays as it is, and is ordered no more; nor is one that is to go.
    desk.change("worker.toml", "terminate = []", "terminate = [\"lab-1\", \"never-ordered\"]");
    assert!(desk.work_and_stop().contains("ordered=3 going=1"));
    desk.change("machines.toml", "memory_mib = 1024", "memory_mib = 3072");
    desk.refused(2, "web-1: memory_mib (ordered 1024, in the file 3072)");
}
