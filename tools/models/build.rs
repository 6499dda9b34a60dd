//! Gives the ring loom's atomics, and nobody else: `--cfg loom` for all would change dependencies.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(broadtape_loom)");
    println!("cargo::rustc-cfg=broadtape_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
