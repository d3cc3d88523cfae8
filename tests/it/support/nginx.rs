//! A real nginx before an engine's socket, as docker-socket-proxy is one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Running, free_port, wait_until};

/// Passes on the paths that begin as allowed, and answers 403 to all others.
pub struct NginxProxy {
    port: u16,
    _process: Running,
    _folder: TempDir,
}

impl NginxProxy {
    pub fn start(socket: &Path, allowed: &[&str]) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let at = folder.path().display();
        let paths = allowed.join("|");
        let config = format!(
            "user root; daemon off; pid {at}/pid; error_log {at}/error.log; events {{}}\n\
             http {{ access_log {at}/access.log; proxy_temp_path {at}/p; client_body_temp_path {at}/b; \
             fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;\n\
             server {{ listen 127.0.0.1:{port};\n\
             location / {{ return 403; }}\n\
             location ~ ^(/v[0-9.]+)?/({paths}) {{ limit_except GET HEAD {{ deny all; }}\n\
             proxy_pass http://unix:{}:; proxy_http_version 1.1; proxy_buffering off; proxy_read_timeout 1h; }} }} }}\n",
            socket.display()
        );
        std::fs::write(folder.path().join("nginx.conf"), config).expect("our folder");
        let mut command = Command::new("nginx");
        command.arg("-c").arg(folder.path().join("nginx.conf")).arg("-p").arg(folder.path());
        let process = Running::start(&mut command, &folder.path().join("log"));
        wait_until("nginx listens", Duration::from_secs(10), || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { port, _process: process, _folder: folder }
    }

    /// As `DOCKER_HOST` has it.
    pub fn url(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }
}
