//! The image: small, without root, on a read-only file system, seeing the host and its containers from inside.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{BASE, DockerEngine, Page, binary, free_port, get, repository, request, run, try_run, wait_until};

/// Not the tag that compose.yml names: that one may be in use on this machine.
const IMAGE: &str = "sidewatch-test/sidewatch:1";

/// The shipped image is small; the one that a debug build gives is not, and says nothing.
const LARGEST: u64 = if cfg!(debug_assertions) { u64::MAX } else { 60_000_000 };

/// `docker build` as the Dockerfile says it, with the binary under test.
fn build_image(engine: &DockerEngine) {
    let context = tempfile::tempdir().expect("a folder");
    let at = |path: &str| context.path().join(path);
    std::fs::create_dir_all(at("config/empty")).expect("our folder");
    std::fs::create_dir(at("alerts")).expect("our folder");
    std::fs::write(at("config/empty/.keep"), "").expect("our folder");
    std::fs::copy(binary(), at("sidewatch")).expect("the binary");
    std::fs::copy(repository().join("Dockerfile"), at("Dockerfile")).expect("the Dockerfile");
    for entry in std::fs::read_dir(repository().join("alerts")).expect("the rules").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), at("alerts").join(entry.file_name())).expect("our folder");
        }
    }
    let context = context.path().to_str().expect("our path");
    engine.docker(&["build", "--build-arg", "BINARY=sidewatch", "--tag", IMAGE, context]);
}

#[test]
fn the_image_runs_without_root_on_a_read_only_file_system() {
    let engine = DockerEngine::start();
    build_image(&engine);
    let inspect = |format: &str| engine.docker(&["image", "inspect", "--format", format, IMAGE]);
    assert_eq!(inspect("{{.Config.User}}"), "65532:65532");
    assert_eq!(inspect("{{json .Config.Healthcheck.Test}}"), r#"["CMD","/sidewatch","health"]"#);
    let size: u64 = inspect("{{.Size}}").parse().expect("bytes");
    assert!(size < LARGEST, "the image has {size} bytes");
    #[expect(clippy::print_stdout, reason = "the size is written into the README")]
    {
        println!("image: {size} bytes");
    }

    let network = Network::new(&engine);
    let app = engine.run(
        "app",
        &[
            "--network",
            &network.name,
            "--network-alias",
            "app",
            BASE,
            "sh",
            "-c",
            "echo ok >/health; httpd -f -p 3000 -h /",
        ],
    );
    let (socket, group) = (format!("{}:/var/run/docker.sock:ro", engine.socket().display()), socket_group(&engine));
    let config = config_folder(
        r#"
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
targets:
  - {name: app, url: "http://app:3000/health"}
  - {name: docker, kind: docker, url: "unix:///var/run/docker.sock", interval: 3s, timeout: 3s}  # older engines answer at a tick of 1 s
  - {name: host, kind: host, procfs: /host/proc, sysfs: /host/sys, rootfs: /host}
rule_files: ["/etc/sidewatch/alerts/*.yml"]
"#,
    );
    let config = format!("{}:/etc/sidewatch/sidewatch.yml:ro", config.path().join("sidewatch.yml").display());
    let port = free_port();
    let agent = engine.run(
        "sidewatch",
        &[
            "--network",
            &network.name,
            "--network-alias",
            "sidewatch",
            "--publish",
            &format!("127.0.0.1:{port}:9640"),
            "--read-only",
            "--cap-drop",
            "ALL",
            "--security-opt",
            "no-new-privileges",
            "--group-add",
            &group,
            "--volume",
            &socket,
            "--volume",
            &config,
            "--volume",
            "/:/host:ro",
            "--volume",
            "/proc:/host/proc:ro",
            "--volume",
            "/sys:/host/sys:ro",
            "--health-interval",
            "1s",
            IMAGE,
        ],
    );
    wait_until("the container is healthy", Duration::from_secs(30), || {
        let state = agent.inspect("{{.State.Status}} {{.State.Health.Status}}");
        assert!(!state.starts_with("exited"), "the agent ended: {}", agent.logs());
        (state == "running healthy").then_some(())
    });
    wait_for_ready(port);
    let page = page(port);
    assert_eq!(page.value("probe_success", &[("instance", "http://app:3000/health")]), Some(1.0), "names resolve");
    assert_host_and_containers(&page, app.name());

    // The data folder is writable: an event that was taken stands in the ledger. From a neighbour, as apps send it; what comes
    // through the published port comes from the gateway and is not let in.
    let event = r#"{"id":"image","provider":"openai","model":"gpt-5","api":"openai.chat","usage":{"prompt_tokens":4711,"completion_tokens":0}}"#;
    let url = "http://sidewatch:9640/v1/usage";
    let (sent, said) =
        app.exec(&["wget", "-q", "-O", "-", "--header", "content-type: application/json", "--post-data", event, url]);
    assert!(sent, "{said}; {}", agent.logs());
    assert!(get(port, "/v1/usage?since=1h&by=model").body.contains("4711"));
    let outside = crate::support::post(port, "/v1/usage", event).expect("an answer");
    assert_eq!(outside.status, 403, "the gateway of the network is not the network");
}

#[test]
fn the_shipped_compose_file_runs() {
    let engine = DockerEngine::start();
    build_image(&engine);
    let project = Project::new(&engine);
    project.compose(&["up", "--detach", "--no-build", "app", "db", "cache", "sidewatch"]);
    wait_until("the sidecar is healthy", Duration::from_mins(1), || {
        let id = project.compose(&["ps", "--all", "--quiet", "sidewatch"]);
        let state = engine.docker(&["inspect", "--format", "{{.State.Status}} {{.State.Health.Status}}", id.trim()]);
        assert!(!state.starts_with("exited"), "{}", project.compose(&["logs", "sidewatch"]));
        (state == "running healthy").then_some(())
    });
    wait_for_ready(project.port);
    // The app may start after the first look at it, and the engine is busy starting all of them.
    let told = std::panic::catch_unwind(|| {
        wait_until("names resolve, the app and the engine answer", Duration::from_secs(30), || {
            let page = page(project.port);
            let answers = page.value("probe_success", &[("instance", "http://app:3000/health")]) == Some(1.0);
            (answers && running_app(&page).is_some()).then_some(page)
        })
    });
    let Ok(page) = told else {
        let health = request(project.port, "GET", "/health", &[], "").map(|answer| answer.body);
        panic!("not in time; {health:?}\n{}", project.compose(&["logs", "sidewatch"]));
    };
    assert_host_and_containers(&page, &running_app(&page).expect("as waited for"));
}

/// The name of the app's container, once a look saw it run and what it uses.
fn running_app(page: &Page) -> Option<String> {
    let mut running = page.find("container_state", &[("state", "running")]).filter(|line| line.value > 0.5);
    let name = running.find(|line| line.labels["name"].contains("app"))?.labels["name"].clone();
    page.sum("container_memory_working_set_bytes", &[("name", &name)]).map(|_| name)
}

/// The figures are the machine's and its containers', not those of the agent's own container.
fn assert_host_and_containers(page: &Page, container: &str) {
    assert_eq!(page.value("up", &[("job", "cadvisor")]), Some(1.0), "the socket is open to the group");
    assert_eq!(page.value("container_state", &[("name", container), ("state", "running")]), Some(1.0));
    assert!(page.sum("container_memory_working_set_bytes", &[("name", container)]).is_some_and(|bytes| bytes > 0.0));
    assert!(page.sum("container_cpu_usage_seconds_total", &[("name", container)]).is_some());
    assert_eq!(page.value("up", &[("job", "node")]), Some(1.0));
    assert_eq!(page.value("node_memory_MemTotal_bytes", &[]), Some(mem_total()));
    let root = Command::new("stat").args(["-f", "-c", "%b %S", "/"]).output().expect("coreutils").stdout;
    let root = String::from_utf8(root).expect("numbers");
    let size: f64 = root.split_whitespace().map(|number| number.parse::<f64>().expect("a number")).product();
    assert_eq!(page.value("node_filesystem_size_bytes", &[("mountpoint", "/")]), Some(size), "the host's own /");
    let processors = std::thread::available_parallelism().expect("a number").get();
    assert!(page.find("node_cpu_seconds_total", &[("mode", "idle")]).count() >= processors);
}

fn mem_total() -> f64 {
    let text = std::fs::read_to_string("/proc/meminfo").expect("Linux");
    let kilobytes =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.expect("MemTotal") * 1024.0
}

fn wait_for_ready(port: u16) {
    wait_until("the agent is ready", Duration::from_secs(30), || {
        request(port, "GET", "/readyz", &[], "").filter(|answer| answer.status == 200)
    });
}

fn page(port: u16) -> Page {
    Page::parse(
        &request(port, "GET", "/metrics", &[("accept", "text/plain;version=0.0.4")], "").expect("an answer").body,
    )
}

fn socket_group(engine: &DockerEngine) -> String {
    std::fs::metadata(engine.socket()).expect("the socket").gid().to_string()
}

/// A file that any user may read: the image's user is not ours.
fn config_folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    open_to_all(folder.path());
    std::fs::write(folder.path().join("sidewatch.yml"), text).expect("our folder");
    folder
}

fn open_to_all(folder: &Path) {
    run(Command::new("chmod").arg("a+rx").arg(folder));
}

/// A network with names; removed when dropped.
struct Network<'a> {
    engine: &'a DockerEngine,
    name: String,
}

impl<'a> Network<'a> {
    fn new(engine: &'a DockerEngine) -> Self {
        let name = format!("sidewatch-test-{}", std::process::id());
        engine.docker(&["network", "create", &name]);
        Self { engine, name }
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        try_run(&mut self.engine.command(&["network", "rm", &self.name]));
    }
}

/// The shipped compose file in a folder of its own, with stand-ins for the images that only a registry has.
struct Project<'a> {
    engine: &'a DockerEngine,
    folder: TempDir,
    name: String,
    port: u16,
}

impl<'a> Project<'a> {
    fn new(engine: &'a DockerEngine) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        open_to_all(folder.path());
        let at = |path: &str| folder.path().join(path);
        for part in ["config", "secrets"] {
            std::fs::create_dir(at(part)).expect("our folder");
        }
        for file in ["compose.yml", "config/sidewatch.example.yml"] {
            std::fs::copy(repository().join(file), at(file)).expect("the file is shipped");
        }
        for (secret, text) in [
            ("postgres_password", "p"),
            ("database_url", "postgres://app:p@db/orders"),
            ("sidewatch_database_url", "postgres://sidewatch:p@db/orders"),
            ("redis_url", "redis://cache:6379"),
            ("openai_api_key", "sk-none"),
        ] {
            std::fs::write(at("secrets").join(secret), text).expect("our folder");
        }
        let port = free_port();
        let override_file = format!(
            "services:\n  \
               app: {{image: \"{BASE}\", command: [sh, -c, \"echo ok >/health; httpd -f -p 3000 -h /\"], ports: !reset []}}\n  \
               db: {{image: \"{BASE}\", command: !override [sleep, \"100000\"], healthcheck: {{test: [CMD, sh, -c, \"exit 0\"], interval: 1s}}}}\n  \
               cache: {{image: \"{BASE}\", command: !override [sleep, \"100000\"], healthcheck: {{test: [CMD, sh, -c, \"exit 0\"], interval: 1s}}}}\n  \
               sidewatch: {{image: \"{IMAGE}\", ports: !override [\"127.0.0.1:{port}:9640\"], healthcheck: {{interval: 1s}}}}\n"
        );
        std::fs::write(at("test.yml"), override_file).expect("our folder");
        Self { engine, folder, name: format!("swtest{}", std::process::id()), port }
    }

    fn compose(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.engine.command(&["compose", "-p", &self.name, "-f", "compose.yml", "-f", "test.yml"]);
        command.args(arguments).current_dir(self.folder.path());
        command.env("APP_IMAGE", BASE).env("DOCKER_GID", socket_group(self.engine));
        command.env("DOCKER_SOCKET", self.engine.socket());
        command
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        try_run(&mut self.command(&["down", "--volumes", "--timeout", "1"]));
    }
}
