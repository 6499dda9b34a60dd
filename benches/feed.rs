//! feed: what a record costs its source, on a virtual clock and flat out. One element is a record.
fn main() {}
