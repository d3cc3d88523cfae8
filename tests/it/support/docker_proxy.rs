//! A proxy before an engine's socket that notes what is asked and may answer some of it itself, as an older engine would.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

/// Paths, and the whole answers to them.
pub type Answers = &'static [(&'static str, &'static str)];

/// Passes requests without a body on. It ends with the test.
pub struct DockerProxy {
    folder: TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl DockerProxy {
    pub fn start(engine: &Path, answers: Answers) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("proxy.sock")).expect("a socket");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, engine) = (Arc::clone(&asked), engine.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (noted, engine) = (Arc::clone(&noted), engine.clone());
                std::thread::spawn(move || serve(client, &engine, answers, &noted));
            }
        });
        Self { folder, asked }
    }

    /// Its address, as `DOCKER_HOST` has it.
    pub fn url(&self) -> String {
        format!("unix://{}", PathBuf::from(self.folder.path()).join("proxy.sock").display())
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panicked").clone()
    }
}

fn serve(mut client: UnixStream, engine: &Path, answers: Answers, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut engine = UnixStream::connect(engine)?;
    let (mut back, mut to_client) = (engine.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut back, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let mut requests = BufReader::new(client.try_clone()?);
    loop {
        let mut head = String::new();
        while requests.read_line(&mut head)? > 0 && !head.ends_with("\r\n\r\n") {}
        let Some(path) = head.split(' ').nth(1) else { return engine.shutdown(Shutdown::Both) };
        asked.lock().expect("nobody panicked").push(path.to_owned());
        match answers.iter().find(|(of, _)| *of == path) {
            Some((_, answer)) => client.write_all(answer.as_bytes())?,
            None => engine.write_all(head.as_bytes())?,
        }
    }
}
