/// For names, ports and passwords that nobody else has.
pub(crate) fn random() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}
