//! What an independent scanner finds: sslyze, held against Mozilla's "intermediate" profile.

use crate::authority::write;
use crate::program::python;
use crate::server::Server;

#[test]
fn mozilla_intermediate_is_kept() {
    let Some(mut python) = python() else { return };
    let server = Server::start(&[]);
    let authority = write(server.folder.path(), "authority.crt", &server.authority.pem);
    let port = server.program.address.rsplit(':').next().unwrap();
    let target = format!("localhost:{port}");
    let output = python
        .args(["-m", "sslyze", "--mozilla_config=intermediate"])
        .args(["--certinfo_ca_file", &authority, &target])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{target}: OK - Compliant")), "{said}");
}
