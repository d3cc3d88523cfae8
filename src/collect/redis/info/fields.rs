//! Which INFO field is which of `redis_exporter`'s families.
//!
//! A field that is not here is passed over: new versions of Redis add fields, and only what has a name and a type
//! that dashboards know is worth a series.

use crate::model::Family;

/// A field whose number is a family's only value.
pub struct Field {
    /// As INFO writes it.
    pub name: &'static str,
    /// What it becomes.
    pub family: Family,
    /// What the number is multiplied with, for the family's unit.
    pub scale: f64,
}

const fn gauge(name: &'static str, family: &'static str, help: &'static str) -> Field {
    Field { name, family: Family::gauge(family, help), scale: 1.0 }
}

const fn counter(name: &'static str, family: &'static str, help: &'static str) -> Field {
    Field { name, family: Family::counter(family, help), scale: 1.0 }
}

/// The field's entry, if it has one.
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.binary_search_by(|field| field.name.cmp(name)).ok().map(|at| &FIELDS[at])
}

/// Sorted by name.
static FIELDS: [Field; 183] = [
    counter("acl_access_denied_auth", "redis_acl_access_denied_auth_total", "`acl_access_denied_auth` of INFO."),
    counter(
        "acl_access_denied_channel",
        "redis_acl_access_denied_channel_total",
        "`acl_access_denied_channel` of INFO.",
    ),
    counter("acl_access_denied_cmd", "redis_acl_access_denied_cmd_total", "`acl_access_denied_cmd` of INFO."),
    counter("acl_access_denied_key", "redis_acl_access_denied_key_total", "`acl_access_denied_key` of INFO."),
    gauge("active_defrag_hits", "redis_defrag_hits", "`active_defrag_hits` of INFO."),
    gauge("active_defrag_key_hits", "redis_defrag_key_hits", "`active_defrag_key_hits` of INFO."),
    gauge("active_defrag_key_misses", "redis_defrag_key_misses", "`active_defrag_key_misses` of INFO."),
    gauge("active_defrag_misses", "redis_defrag_misses", "`active_defrag_misses` of INFO."),
    gauge("active_defrag_running", "redis_active_defrag_running", "`active_defrag_running` of INFO."),
    gauge("allocator_active", "redis_allocator_active_bytes", "`allocator_active` of INFO."),
    gauge("allocator_allocated", "redis_allocator_allocated_bytes", "`allocator_allocated` of INFO."),
    gauge("allocator_frag_bytes", "redis_allocator_frag_bytes", "`allocator_frag_bytes` of INFO."),
    gauge("allocator_frag_ratio", "redis_allocator_frag_ratio", "`allocator_frag_ratio` of INFO."),
    gauge("allocator_muzzy", "redis_allocator_muzzy_bytes", "`allocator_muzzy` of INFO."),
    gauge("allocator_resident", "redis_allocator_resident_bytes", "`allocator_resident` of INFO."),
    gauge("allocator_rss_bytes", "redis_allocator_rss_bytes", "`allocator_rss_bytes` of INFO."),
    gauge("allocator_rss_ratio", "redis_allocator_rss_ratio", "`allocator_rss_ratio` of INFO."),
    gauge("aof_base_size", "redis_aof_base_size_bytes", "`aof_base_size` of INFO."),
    gauge("aof_buffer_length", "redis_aof_buffer_length", "`aof_buffer_length` of INFO."),
    gauge(
        "aof_current_rewrite_time_sec",
        "redis_aof_current_rewrite_duration_sec",
        "`aof_current_rewrite_time_sec` of INFO.",
    ),
    gauge("aof_current_size", "redis_aof_current_size_bytes", "`aof_current_size` of INFO."),
    gauge("aof_delayed_fsync", "redis_aof_delayed_fsync", "`aof_delayed_fsync` of INFO."),
    gauge("aof_enabled", "redis_aof_enabled", "`aof_enabled` of INFO."),
    gauge("aof_last_bgrewrite_status", "redis_aof_last_bgrewrite_status", "`aof_last_bgrewrite_status` of INFO."),
    gauge("aof_last_cow_size", "redis_aof_last_cow_size_bytes", "`aof_last_cow_size` of INFO."),
    gauge("aof_last_rewrite_time_sec", "redis_aof_last_rewrite_duration_sec", "`aof_last_rewrite_time_sec` of INFO."),
    gauge("aof_last_write_status", "redis_aof_last_write_status", "`aof_last_write_status` of INFO."),
    gauge("aof_pending_bio_fsync", "redis_aof_pending_bio_fsync", "`aof_pending_bio_fsync` of INFO."),
    gauge("aof_pending_rewrite", "redis_aof_pending_rewrite", "`aof_pending_rewrite` of INFO."),
    gauge("aof_rewrite_buffer_length", "redis_aof_rewrite_buffer_length", "`aof_rewrite_buffer_length` of INFO."),
    gauge("aof_rewrite_in_progress", "redis_aof_rewrite_in_progress", "`aof_rewrite_in_progress` of INFO."),
    gauge("aof_rewrite_scheduled", "redis_aof_rewrite_scheduled", "`aof_rewrite_scheduled` of INFO."),
    gauge("async_loading", "redis_async_loading", "`async_loading` of INFO."),
    gauge("blocked_clients", "redis_blocked_clients", "`blocked_clients` of INFO."),
    counter("cached_keys", "redis_cached_keys_total", "`cached_keys` of INFO."),
    gauge("client_biggest_input_buf", "redis_client_biggest_input_buf", "`client_biggest_input_buf` of INFO."),
    gauge("client_longest_output_list", "redis_client_longest_output_list", "`client_longest_output_list` of INFO."),
    counter(
        "client_output_buffer_limit_disconnections",
        "redis_client_output_buffer_limit_disconnections_total",
        "`client_output_buffer_limit_disconnections` of INFO.",
    ),
    counter(
        "client_query_buffer_limit_disconnections",
        "redis_client_query_buffer_limit_disconnections_total",
        "`client_query_buffer_limit_disconnections` of INFO.",
    ),
    gauge(
        "client_recent_max_input_buffer",
        "redis_client_recent_max_input_buffer_bytes",
        "`client_recent_max_input_buffer` of INFO.",
    ),
    gauge(
        "client_recent_max_output_buffer",
        "redis_client_recent_max_output_buffer_bytes",
        "`client_recent_max_output_buffer` of INFO.",
    ),
    gauge("clients_in_timeout_table", "redis_clients_in_timeout_table", "`clients_in_timeout_table` of INFO."),
    gauge("cluster_connections", "redis_cluster_connections", "`cluster_connections` of INFO."),
    gauge("cluster_current_epoch", "redis_cluster_current_epoch", "`cluster_current_epoch` of CLUSTER INFO."),
    gauge("cluster_enabled", "redis_cluster_enabled", "`cluster_enabled` of INFO."),
    gauge("cluster_known_nodes", "redis_cluster_known_nodes", "`cluster_known_nodes` of CLUSTER INFO."),
    gauge("cluster_my_epoch", "redis_cluster_my_epoch", "`cluster_my_epoch` of CLUSTER INFO."),
    gauge("cluster_size", "redis_cluster_size", "`cluster_size` of CLUSTER INFO."),
    gauge("cluster_slots_assigned", "redis_cluster_slots_assigned", "`cluster_slots_assigned` of CLUSTER INFO."),
    gauge("cluster_slots_fail", "redis_cluster_slots_fail", "`cluster_slots_fail` of CLUSTER INFO."),
    gauge("cluster_slots_ok", "redis_cluster_slots_ok", "`cluster_slots_ok` of CLUSTER INFO."),
    gauge("cluster_slots_pfail", "redis_cluster_slots_pfail", "`cluster_slots_pfail` of CLUSTER INFO."),
    gauge("cluster_state", "redis_cluster_state", "`cluster_state` of CLUSTER INFO."),
    gauge(
        "cluster_stats_messages_received",
        "redis_cluster_messages_received_total",
        "`cluster_stats_messages_received` of INFO.",
    ),
    gauge("cluster_stats_messages_sent", "redis_cluster_messages_sent_total", "`cluster_stats_messages_sent` of INFO."),
    gauge("configured_hz", "redis_configured_hz", "`configured_hz` of INFO."),
    gauge("connected_clients", "redis_connected_clients", "`connected_clients` of INFO."),
    gauge("connected_slaves", "redis_connected_slaves", "`connected_slaves` of INFO."),
    gauge("current_client_thread", "redis_current_client_thread", "`current_client_thread` of INFO."),
    gauge(
        "current_eviction_exceeded_time",
        "redis_current_eviction_exceeded_time_ms",
        "`current_eviction_exceeded_time` of INFO.",
    ),
    counter("dump_payload_sanitizations", "redis_dump_payload_sanitizations", "`dump_payload_sanitizations` of INFO."),
    counter("eventloop_cycles", "redis_eventloop_cycles_total", "`eventloop_cycles` of INFO."),
    counter(
        "eventloop_duration_cmd_sum",
        "redis_eventloop_duration_cmd_sum_usec_total",
        "`eventloop_duration_cmd_sum` of INFO.",
    ),
    counter("eventloop_duration_sum", "redis_eventloop_duration_sum_usec_total", "`eventloop_duration_sum` of INFO."),
    counter("evicted_clients", "redis_evicted_clients_total", "`evicted_clients` of INFO."),
    counter("evicted_keys", "redis_evicted_keys_total", "`evicted_keys` of INFO."),
    counter("evicted_scripts", "redis_evicted_scripts_total", "`evicted_scripts` of INFO."),
    counter(
        "expire_cycle_cpu_milliseconds",
        "redis_expire_cycle_cpu_time_ms_total",
        "`expire_cycle_cpu_milliseconds` of INFO.",
    ),
    counter("expired_keys", "redis_expired_keys_total", "`expired_keys` of INFO."),
    gauge("expired_stale_perc", "redis_expired_stale_percentage", "`expired_stale_perc` of INFO."),
    counter("expired_subkeys", "redis_expired_subkeys_total", "`expired_subkeys` of INFO."),
    counter(
        "expired_time_cap_reached_count",
        "redis_expired_time_cap_reached_total",
        "`expired_time_cap_reached_count` of INFO.",
    ),
    gauge("hz", "redis_hz", "`hz` of INFO."),
    gauge(
        "instantaneous_eventloop_cycles_per_sec",
        "redis_instantaneous_eventloop_cycles_per_sec",
        "`instantaneous_eventloop_cycles_per_sec` of INFO.",
    ),
    gauge(
        "instantaneous_eventloop_duration_usec",
        "redis_instantaneous_eventloop_duration_usec",
        "`instantaneous_eventloop_duration_usec` of INFO.",
    ),
    counter(
        "io_threaded_reads_processed",
        "redis_io_threaded_reads_processed",
        "`io_threaded_reads_processed` of INFO.",
    ),
    counter(
        "io_threaded_writes_processed",
        "redis_io_threaded_writes_processed",
        "`io_threaded_writes_processed` of INFO.",
    ),
    gauge("io_threads_active", "redis_io_threads_active", "`io_threads_active` of INFO."),
    counter("keyspace_hits", "redis_keyspace_hits_total", "`keyspace_hits` of INFO."),
    counter("keyspace_misses", "redis_keyspace_misses_total", "`keyspace_misses` of INFO."),
    Field {
        name: "latest_fork_usec",
        family: Family::gauge("redis_latest_fork_seconds", "How long the last fork took, in seconds."),
        scale: 1e-6,
    },
    gauge("lazyfree_pending_objects", "redis_lazyfree_pending_objects", "`lazyfree_pending_objects` of INFO."),
    gauge("lazyfreed_objects", "redis_lazyfreed_objects", "`lazyfreed_objects` of INFO."),
    gauge("loading", "redis_loading_dump_file", "`loading` of INFO."),
    gauge("long_lock_waits", "redis_long_lock_waits_total", "`long_lock_waits` of INFO."),
    gauge("master_repl_offset", "redis_master_repl_offset", "`master_repl_offset` of INFO."),
    gauge("maxclients", "redis_max_clients", "`maxclients` of INFO."),
    gauge(
        "maxfragmentationmemory_desired_reservation",
        "redis_memory_max_fragmentation_reservation_desired_bytes",
        "`maxfragmentationmemory_desired_reservation` of INFO.",
    ),
    gauge(
        "maxfragmentationmemory_reservation",
        "redis_memory_max_fragmentation_reservation_bytes",
        "`maxfragmentationmemory_reservation` of INFO.",
    ),
    gauge("maxmemory", "redis_memory_max_bytes", "`maxmemory` of INFO."),
    gauge(
        "maxmemory_desired_reservation",
        "redis_memory_max_reservation_desired_bytes",
        "`maxmemory_desired_reservation` of INFO.",
    ),
    gauge("maxmemory_reservation", "redis_memory_max_reservation_bytes", "`maxmemory_reservation` of INFO."),
    gauge("mem_aof_buffer", "redis_mem_aof_buffer_bytes", "`mem_aof_buffer` of INFO."),
    gauge("mem_clients_normal", "redis_mem_clients_normal", "`mem_clients_normal` of INFO."),
    gauge("mem_clients_slaves", "redis_mem_clients_slaves", "`mem_clients_slaves` of INFO."),
    gauge("mem_cluster_links", "redis_mem_cluster_links_bytes", "`mem_cluster_links` of INFO."),
    gauge("mem_fragmentation_bytes", "redis_mem_fragmentation_bytes", "`mem_fragmentation_bytes` of INFO."),
    gauge("mem_fragmentation_ratio", "redis_mem_fragmentation_ratio", "`mem_fragmentation_ratio` of INFO."),
    gauge(
        "mem_not_counted_for_evict",
        "redis_mem_not_counted_for_eviction_bytes",
        "`mem_not_counted_for_evict` of INFO.",
    ),
    gauge(
        "mem_overhead_db_hashtable_rehashing",
        "redis_mem_overhead_db_hashtable_rehashing_bytes",
        "`mem_overhead_db_hashtable_rehashing` of INFO.",
    ),
    gauge("mem_replication_backlog", "redis_mem_replication_backlog_bytes", "`mem_replication_backlog` of INFO."),
    gauge(
        "mem_total_replication_buffers",
        "redis_mem_total_replication_buffers_bytes",
        "`mem_total_replication_buffers` of INFO.",
    ),
    gauge("migrate_cached_sockets", "redis_migrate_cached_sockets_total", "`migrate_cached_sockets` of INFO."),
    gauge("module_fork_in_progress", "redis_module_fork_in_progress", "`module_fork_in_progress` of INFO."),
    gauge("module_fork_last_cow_size", "redis_module_fork_last_cow_size", "`module_fork_last_cow_size` of INFO."),
    gauge("number_of_cached_scripts", "redis_number_of_cached_scripts", "`number_of_cached_scripts` of INFO."),
    gauge("number_of_functions", "redis_number_of_functions", "`number_of_functions` of INFO."),
    gauge("number_of_libraries", "redis_number_of_libraries", "`number_of_libraries` of INFO."),
    gauge("process_id", "redis_process_id", "`process_id` of INFO."),
    gauge("pubsub_channels", "redis_pubsub_channels", "`pubsub_channels` of INFO."),
    gauge("pubsub_clients", "redis_pubsub_clients", "`pubsub_clients` of INFO."),
    gauge("pubsub_patterns", "redis_pubsub_patterns", "`pubsub_patterns` of INFO."),
    gauge("pubsubshard_channels", "redis_pubsubshard_channels", "`pubsubshard_channels` of INFO."),
    gauge("rdb_bgsave_in_progress", "redis_rdb_bgsave_in_progress", "`rdb_bgsave_in_progress` of INFO."),
    gauge("rdb_changes_since_last_save", "redis_rdb_changes_since_last_save", "`rdb_changes_since_last_save` of INFO."),
    gauge(
        "rdb_current_bgsave_time_sec",
        "redis_rdb_current_bgsave_duration_sec",
        "`rdb_current_bgsave_time_sec` of INFO.",
    ),
    gauge("rdb_last_bgsave_status", "redis_rdb_last_bgsave_status", "`rdb_last_bgsave_status` of INFO."),
    gauge("rdb_last_bgsave_time_sec", "redis_rdb_last_bgsave_duration_sec", "`rdb_last_bgsave_time_sec` of INFO."),
    gauge("rdb_last_cow_size", "redis_rdb_last_cow_size_bytes", "`rdb_last_cow_size` of INFO."),
    gauge("rdb_last_load_keys_expired", "redis_rdb_last_load_expired_keys", "`rdb_last_load_keys_expired` of INFO."),
    gauge("rdb_last_load_keys_loaded", "redis_rdb_last_load_loaded_keys", "`rdb_last_load_keys_loaded` of INFO."),
    gauge("rdb_last_save_time", "redis_rdb_last_save_timestamp_seconds", "`rdb_last_save_time` of INFO."),
    gauge("rdb_saves", "redis_rdb_saves_total", "`rdb_saves` of INFO."),
    counter("rejected_connections", "redis_rejected_connections_total", "`rejected_connections` of INFO."),
    gauge("repl_backlog_active", "redis_repl_backlog_is_active", "`repl_backlog_active` of INFO."),
    gauge(
        "repl_backlog_first_byte_offset",
        "redis_repl_backlog_first_byte_offset",
        "`repl_backlog_first_byte_offset` of INFO.",
    ),
    gauge("repl_backlog_histlen", "redis_repl_backlog_history_bytes", "`repl_backlog_histlen` of INFO."),
    gauge("repl_backlog_size", "redis_replication_backlog_bytes", "`repl_backlog_size` of INFO."),
    counter("reply_buffer_expands", "redis_reply_buffer_expands_total", "`reply_buffer_expands` of INFO."),
    counter("reply_buffer_shrinks", "redis_reply_buffer_shrinks_total", "`reply_buffer_shrinks` of INFO."),
    gauge("second_repl_offset", "redis_second_repl_offset", "`second_repl_offset` of INFO."),
    gauge("sentinel_masters", "redis_sentinel_masters", "`sentinel_masters` of INFO."),
    gauge("sentinel_running_scripts", "redis_sentinel_running_scripts", "`sentinel_running_scripts` of INFO."),
    gauge(
        "sentinel_scripts_queue_length",
        "redis_sentinel_scripts_queue_length",
        "`sentinel_scripts_queue_length` of INFO.",
    ),
    gauge(
        "sentinel_simulate_failure_flags",
        "redis_sentinel_simulate_failure_flags",
        "`sentinel_simulate_failure_flags` of INFO.",
    ),
    gauge("sentinel_tilt", "redis_sentinel_tilt", "`sentinel_tilt` of INFO."),
    gauge("server_threads", "redis_server_threads_total", "`server_threads` of INFO."),
    gauge("slave_expires_tracked_keys", "redis_slave_expires_tracked_keys", "`slave_expires_tracked_keys` of INFO."),
    gauge("slave_priority", "redis_slave_priority", "`slave_priority` of INFO."),
    gauge("sync_full", "redis_replica_resyncs_full", "`sync_full` of INFO."),
    gauge("sync_partial_err", "redis_replica_partial_resync_denied", "`sync_partial_err` of INFO."),
    gauge("sync_partial_ok", "redis_replica_partial_resync_accepted", "`sync_partial_ok` of INFO."),
    gauge("total_blocking_keys", "redis_total_blocking_keys", "`total_blocking_keys` of INFO."),
    gauge(
        "total_blocking_keys_on_nokey",
        "redis_total_blocking_keys_on_nokey",
        "`total_blocking_keys_on_nokey` of INFO.",
    ),
    counter("total_commands_processed", "redis_commands_processed_total", "`total_commands_processed` of INFO."),
    counter("total_connections_received", "redis_connections_received_total", "`total_connections_received` of INFO."),
    counter("total_error_replies", "redis_total_error_replies", "`total_error_replies` of INFO."),
    counter(
        "total_eviction_exceeded_time",
        "redis_eviction_exceeded_time_ms_total",
        "`total_eviction_exceeded_time` of INFO.",
    ),
    counter("total_net_input_bytes", "redis_net_input_bytes_total", "`total_net_input_bytes` of INFO."),
    counter("total_net_output_bytes", "redis_net_output_bytes_total", "`total_net_output_bytes` of INFO."),
    counter("total_net_repl_input_bytes", "redis_net_repl_input_bytes_total", "`total_net_repl_input_bytes` of INFO."),
    counter(
        "total_net_repl_output_bytes",
        "redis_net_repl_output_bytes_total",
        "`total_net_repl_output_bytes` of INFO.",
    ),
    counter("total_reads_processed", "redis_total_reads_processed", "`total_reads_processed` of INFO."),
    gauge("total_system_memory", "redis_total_system_memory_bytes", "`total_system_memory` of INFO."),
    gauge("total_watched_keys", "redis_total_watched_keys", "`total_watched_keys` of INFO."),
    counter("total_writes_processed", "redis_total_writes_processed", "`total_writes_processed` of INFO."),
    gauge("tracking_clients", "redis_tracking_clients", "`tracking_clients` of INFO."),
    gauge("tracking_total_items", "redis_tracking_total_items", "`tracking_total_items` of INFO."),
    gauge("tracking_total_keys", "redis_tracking_total_keys", "`tracking_total_keys` of INFO."),
    gauge("tracking_total_prefixes", "redis_tracking_total_prefixes", "`tracking_total_prefixes` of INFO."),
    counter("unexpected_error_replies", "redis_unexpected_error_replies", "`unexpected_error_replies` of INFO."),
    gauge("uptime_in_seconds", "redis_uptime_in_seconds", "`uptime_in_seconds` of INFO."),
    counter(
        "used_active_time_main_thread",
        "redis_active_time_main_thread_seconds_total",
        "`used_active_time_main_thread` of INFO.",
    ),
    counter("used_cpu_sys", "redis_cpu_sys_seconds_total", "`used_cpu_sys` of INFO."),
    counter("used_cpu_sys_children", "redis_cpu_sys_children_seconds_total", "`used_cpu_sys_children` of INFO."),
    counter(
        "used_cpu_sys_main_thread",
        "redis_cpu_sys_main_thread_seconds_total",
        "`used_cpu_sys_main_thread` of INFO.",
    ),
    counter("used_cpu_user", "redis_cpu_user_seconds_total", "`used_cpu_user` of INFO."),
    counter("used_cpu_user_children", "redis_cpu_user_children_seconds_total", "`used_cpu_user_children` of INFO."),
    counter(
        "used_cpu_user_main_thread",
        "redis_cpu_user_main_thread_seconds_total",
        "`used_cpu_user_main_thread` of INFO.",
    ),
    gauge("used_memory", "redis_memory_used_bytes", "`used_memory` of INFO."),
    gauge("used_memory_dataset", "redis_memory_used_dataset_bytes", "`used_memory_dataset` of INFO."),
    gauge("used_memory_functions", "redis_memory_used_functions_bytes", "`used_memory_functions` of INFO."),
    gauge("used_memory_lua", "redis_memory_used_lua_bytes", "`used_memory_lua` of INFO."),
    gauge("used_memory_overhead", "redis_memory_used_overhead_bytes", "`used_memory_overhead` of INFO."),
    gauge("used_memory_peak", "redis_memory_used_peak_bytes", "`used_memory_peak` of INFO."),
    gauge("used_memory_rss", "redis_memory_used_rss_bytes", "`used_memory_rss` of INFO."),
    gauge("used_memory_scripts", "redis_memory_used_scripts_bytes", "`used_memory_scripts` of INFO."),
    gauge("used_memory_scripts_eval", "redis_memory_used_scripts_eval_bytes", "`used_memory_scripts_eval` of INFO."),
    gauge("used_memory_startup", "redis_memory_used_startup_bytes", "`used_memory_startup` of INFO."),
    gauge("used_memory_vm_eval", "redis_memory_used_vm_eval_bytes", "`used_memory_vm_eval` of INFO."),
    gauge("used_memory_vm_functions", "redis_memory_used_vm_functions_bytes", "`used_memory_vm_functions` of INFO."),
    gauge("used_memory_vm_total", "redis_memory_used_vm_total", "`used_memory_vm_total` of INFO."),
    gauge("watching_clients", "redis_watching_clients", "`watching_clients` of INFO."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_sorted_so_that_each_is_found() {
        assert!(FIELDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(find("used_memory").unwrap().family.name, "redis_memory_used_bytes");
        assert!(find("not_a_field").is_none());
    }
}
