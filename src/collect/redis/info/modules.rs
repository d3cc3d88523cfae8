//! Which field of a module's INFO section is which of `redis_exporter`'s families: search and vectors, JSON, Bloom filters.
//!
//! Redis 8 brings these modules along. Their sections are in `INFO everything` alone, which is asked of servers that
//! have such a module.

use crate::model::Family;

use super::fields::Field;

const HELP: &str = "The module's INFO field of this name, in the unit that the name says.";

const fn gauge(name: &'static str, family: &'static str) -> Field {
    Field { name, family: Family::gauge(family, HELP), scale: 1.0 }
}

const fn counter(name: &'static str, family: &'static str) -> Field {
    Field { name, family: Family::counter(family, HELP), scale: 1.0 }
}

/// The modules whose sections are worth asking for, as `MODULE LIST` and INFO's `module:` lines call them.
pub const WITH_FIELDS: [&str; 4] = ["search", "searchlight", "ReJSON", "bf"];

/// The field's entry, if it has one.
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.binary_search_by(|field| field.name.cmp(name)).ok().map(|at| &FIELDS[at])
}

/// Sorted by name.
static FIELDS: [Field; 72] = [
    gauge("bf_bloom_capacity_across_objects", "redis_bf_bloom_capacity_across_objects"),
    counter("bf_bloom_defrag_hits", "redis_bf_bloom_defrag_hits_total"),
    counter("bf_bloom_defrag_misses", "redis_bf_bloom_defrag_misses_total"),
    gauge("bf_bloom_num_filters_across_objects", "redis_bf_bloom_num_filters_across_objects"),
    gauge("bf_bloom_num_items_across_objects", "redis_bf_bloom_num_items_across_objects"),
    gauge("bf_bloom_num_objects", "redis_bf_bloom_num_objects"),
    gauge("bf_bloom_total_memory_bytes", "redis_bf_bloom_total_memory_bytes"),
    gauge("json_num_documents", "redis_json_num_documents"),
    gauge("json_total_memory_bytes", "redis_json_total_memory_bytes"),
    gauge("search_bytes_collected", "redis_search_collected_bytes"),
    gauge("search_dialect_1", "redis_search_dialect_1"),
    gauge("search_dialect_2", "redis_search_dialect_2"),
    gauge("search_dialect_3", "redis_search_dialect_3"),
    gauge("search_dialect_4", "redis_search_dialect_4"),
    gauge("search_errors_indexing_failures", "redis_search_errors_indexing_failures"),
    counter("search_failure_requests_count", "redis_search_failure_requests_count"),
    gauge("search_gc_bytes_collected", "redis_search_gc_collected_bytes"),
    gauge("search_gc_marked_deleted_vectors", "redis_search_gc_marked_deleted_vectors"),
    counter("search_gc_total_cycles", "redis_search_gc_cycles_total"),
    gauge("search_gc_total_docs_not_collected", "redis_search_gc_total_docs_not_collected"),
    counter("search_gc_total_ms_run", "redis_search_gc_run_ms_total"),
    gauge("search_global_idle", "redis_search_global_idle"),
    gauge("search_global_idle_internal", "redis_search_global_idle_internal"),
    gauge("search_global_idle_user", "redis_search_global_idle_user"),
    gauge("search_global_total", "redis_search_global_total"),
    gauge("search_global_total_internal", "redis_search_global_total_internal"),
    gauge("search_global_total_user", "redis_search_global_total_user"),
    counter("search_hnsw_add_exceptions_count", "redis_search_hnsw_add_exceptions_count"),
    counter("search_hnsw_create_exceptions_count", "redis_search_hnsw_create_exceptions_count"),
    counter("search_hnsw_modify_exceptions_count", "redis_search_hnsw_modify_exceptions_count"),
    counter("search_hnsw_remove_exceptions_count", "redis_search_hnsw_remove_exceptions_count"),
    counter("search_hnsw_search_exceptions_count", "redis_search_hnsw_search_exceptions_count"),
    counter("search_hybrid_requests_count", "redis_search_hybrid_requests_count"),
    counter("search_inline_filtering_requests_count", "redis_search_inline_filtering_requests_count"),
    gauge("search_largest_memory_index", "redis_search_largest_memory_index_bytes"),
    gauge("search_number_of_active_indexes", "redis_search_number_of_active_indexes"),
    gauge("search_number_of_active_indexes_indexing", "redis_search_number_of_active_indexes_indexing"),
    gauge("search_number_of_active_indexes_running_queries", "redis_search_number_of_active_indexes_running_queries"),
    gauge("search_number_of_attributes", "redis_search_number_of_attributes"),
    gauge("search_number_of_indexes", "redis_search_number_of_indexes"),
    gauge("search_query_queue_size", "redis_search_query_queue_size"),
    counter("search_rdb_load_failure_cnt", "redis_search_rdb_load_failure_count"),
    counter("search_rdb_load_success_cnt", "redis_search_rdb_load_success_count"),
    counter("search_rdb_save_failure_cnt", "redis_search_rdb_save_failure_count"),
    counter("search_rdb_save_success_cnt", "redis_search_rdb_save_success_count"),
    counter("search_reader_resumed_cnt", "redis_search_reader_resumed_count"),
    gauge("search_smallest_memory_index", "redis_search_smallest_memory_index_bytes"),
    gauge("search_string_interning_store_size", "redis_search_string_interning_store_size"),
    counter("search_successful_requests_count", "redis_search_successful_requests_count"),
    counter("search_total_active_queries", "redis_search_active_queries_total"),
    gauge("search_total_active_write_threads", "redis_search_total_active_write_threads"),
    counter("search_total_cycles", "redis_search_cycles_total"),
    gauge("search_total_indexed_documents", "redis_search_total_indexed_documents"),
    counter("search_total_indexing_time", "redis_search_indexing_time_ms_total"),
    counter("search_total_ms_run", "redis_search_run_ms_total"),
    gauge("search_total_num_docs_in_indexes", "redis_search_total_num_docs_in_indexes"),
    counter("search_total_queries_processed", "redis_search_queries_processed_total"),
    counter("search_total_query_commands", "redis_search_query_commands_total"),
    counter("search_total_query_execution_time_ms", "redis_search_query_execution_time_ms_total"),
    gauge("search_used_memory_bytes", "redis_search_used_memory_bytes"),
    gauge("search_used_memory_indexes", "redis_search_used_memory_indexes_bytes"),
    gauge("search_used_memory_vector_index", "redis_search_used_memory_vector_index_bytes"),
    counter("search_vector_externing_deferred_entry_cnt", "redis_search_vector_externing_deferred_entry_count"),
    counter("search_vector_externing_entry_count", "redis_search_vector_externing_entry_count"),
    counter("search_vector_externing_generated_value_cnt", "redis_search_vector_externing_generated_value_count"),
    gauge("search_vector_externing_hash_extern_errors", "redis_search_vector_externing_hash_extern_errors"),
    counter("search_vector_externing_lru_promote_cnt", "redis_search_vector_externing_lru_promote_count"),
    gauge("search_vector_externing_num_lru_entries", "redis_search_vector_externing_num_lru_entries"),
    counter("search_worker_pool_suspend_cnt", "redis_search_worker_pool_suspend_count"),
    gauge("search_writer_queue_size", "redis_search_writer_queue_size"),
    counter("search_writer_resumed_cnt", "redis_search_writer_resumed_count"),
    counter("search_writer_suspension_expired_cnt", "redis_search_writer_suspension_expired_count"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_sorted_so_that_each_is_found() {
        assert!(FIELDS.windows(2).all(|pair| pair[0].name < pair[1].name));
        assert_eq!(find("search_number_of_indexes").unwrap().family.name, "redis_search_number_of_indexes");
    }
}
