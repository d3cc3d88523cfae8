//! CLUSTER INFO of a cluster's node: its slots, nodes and epochs as the node sees them.

use redis::Pipeline;
use tokio::time::Instant;

use crate::collect::Look;

use super::connection::{Connection, Missed};
use super::info::{Info, read_fields};

/// Asks, unless INFO has told already as Valkey's does; `None` when the server forbids it and that was said before.
pub async fn ask(
    connection: &mut Connection,
    info: &Info<'_>,
    deadline: Instant,
    look: &mut Look,
) -> Option<Result<(), Missed>> {
    if !info.text("cluster_state").is_empty() {
        return None;
    }
    let mut commands = Pipeline::new();
    commands.cmd("CLUSTER").arg("INFO");
    let answer = connection.ask_if_allowed::<(String,)>("CLUSTER INFO", &commands, deadline).await?;
    Some(answer.map(|(text,)| read_fields(&Info::parse(&text), look)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_and_state_have_the_exporters_names() {
        let text = "cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:2\r\ncluster_my_epoch:3\r\n";
        let mut look = Look::new();
        read_fields(&Info::parse(text), &mut look);
        assert_eq!(look.get("redis_cluster_state", &[]), Some(1.0));
        assert_eq!(look.get("redis_cluster_slots_fail", &[]), Some(2.0));
        let mut look = Look::new();
        read_fields(&Info::parse("cluster_state:fail"), &mut look);
        assert_eq!(look.get("redis_cluster_state", &[]), Some(0.0));
    }
}
