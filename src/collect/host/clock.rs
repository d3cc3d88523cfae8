//! The clock: what time it is, where it comes from, and how far it may be off.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rtime_clock::adjtime::{Timex, adjtimex};

use crate::model::{Family, Millis};

use super::folder::numbered;
use super::visit::{Found, Outcome, Visit};
use super::{CollectError, Reason};

static TIME: Family = Family::gauge("node_time_seconds", "The machine's time in seconds since 1970.");
static OFFSET: Family =
    Family::gauge("node_time_zone_offset_seconds", "Seconds by which the time zone is ahead of UTC.");
static AVAILABLE: Family =
    Family::gauge("node_time_clocksource_available_info", "1 for each source that the clock could have.");
static CURRENT: Family = Family::gauge("node_time_clocksource_current_info", "1 for the source that the clock has.");

/// `node_time_*`, as `node_exporter`'s collector `time`.
pub(super) fn time(visit: &mut Visit<'_>) -> Outcome {
    let now = Millis::now();
    visit.value(&TIME, now.as_seconds());
    if let Ok(at) = Timestamp::from_millisecond(now.0) {
        let zone = TimeZone::system();
        let info = zone.to_offset_info(at);
        // Without a time zone it is UTC, as everywhere.
        let name = if zone.is_unknown() { "UTC" } else { info.abbreviation() };
        visit.labeled(&OFFSET, &[("time_zone", name)], f64::from(info.offset().seconds()));
    }
    sources(visit);
    Ok(Found::Seen)
}

fn sources(visit: &mut Visit<'_>) {
    let Some(folder) = visit.files.sys("devices/system/clocksource") else { return };
    for name in folder.names() {
        let Some(device) = numbered(&name, "clocksource") else { continue };
        for (file, family) in [("available_clocksource", &AVAILABLE), ("current_clocksource", &CURRENT)] {
            let sources = folder.text(&format!("{name}/{file}")).unwrap_or_default();
            for source in sources.split_ascii_whitespace() {
                visit.labeled(family, &[("device", device), ("clocksource", source)], 1.0);
            }
        }
    }
}

static OFFSET_TO_REFERENCE: Family =
    Family::gauge("node_timex_offset_seconds", "How far the clock is from its reference, as the kernel corrects it.");
static FREQUENCY: Family =
    Family::gauge("node_timex_frequency_adjustment_ratio", "By which factor the kernel lets the clock run faster.");
static MAX_ERROR: Family = Family::gauge("node_timex_maxerror_seconds", "How far the clock may be off at most.");
static ESTIMATED_ERROR: Family =
    Family::gauge("node_timex_estimated_error_seconds", "How far the clock is off by estimate.");
static STATUS: Family = Family::gauge("node_timex_status", "The clock's status bits, as in the kernel's timex.h.");
static SYNCED: Family =
    Family::gauge("node_timex_sync_status", "Whether something keeps the clock right (1) or not (0).");
static TIME_CONSTANT: Family =
    Family::gauge("node_timex_loop_time_constant", "How slowly the kernel follows the reference.");
static TICK: Family = Family::gauge("node_timex_tick_seconds", "Seconds between two ticks of the clock.");
static TAI: Family =
    Family::gauge("node_timex_tai_offset_seconds", "Seconds by which atomic time is ahead of the clock.");
static PPS_FREQUENCY: Family =
    Family::gauge("node_timex_pps_frequency_hertz", "The frequency of the pulse per second.");
static PPS_JITTER: Family = Family::gauge("node_timex_pps_jitter_seconds", "How unsteady the pulse per second is.");
static PPS_SHIFT: Family =
    Family::gauge("node_timex_pps_shift_seconds", "Over how long the pulse per second is averaged.");
static PPS_STABILITY: Family =
    Family::gauge("node_timex_pps_stability_hertz", "How much the pulse's frequency changed lately.");
static PPS_JITTER_TOTAL: Family = Family::counter("node_timex_pps_jitter_total", "Pulses that were too unsteady.");
static PPS_CALIBRATION_TOTAL: Family =
    Family::counter("node_timex_pps_calibration_total", "Calibrations by the pulse.");
static PPS_ERROR_TOTAL: Family =
    Family::counter("node_timex_pps_error_total", "Calibrations by the pulse that failed.");
static PPS_STABILITY_TOTAL: Family =
    Family::counter("node_timex_pps_stability_exceeded_total", "Calibrations by a pulse that was not steady enough.");

/// `STA_NANO` of the status: offset and jitter are in nanoseconds, not microseconds.
const STA_NANO: i32 = 0x2000;
/// `TIME_ERROR`, the answer of a clock that nothing keeps right.
const TIME_ERROR: i32 = 5;
const MICROS: f64 = 1e-6;
const NANOS: f64 = 1e-9;
/// Frequencies are in millionths, with sixteen bits after the point.
const SCALED_PPM: f64 = 1e-6 / 65536.0;

/// `node_timex_*`, as `node_exporter`'s collector `timex`: asks, and changes nothing.
pub(super) fn timex(visit: &mut Visit<'_>) -> Outcome {
    let mut answer = Timex::new();
    let state = adjtimex(&mut answer).map_err(|error| {
        CollectError::new(Reason::of_io(&error), format!("cannot ask the kernel for its clock: {error}"))
    })?;
    let clock = answer.0;
    let fraction = if clock.status & STA_NANO == 0 { MICROS } else { NANOS };
    let values = [
        (&OFFSET_TO_REFERENCE, clock.offset as f64 * fraction),
        (&FREQUENCY, 1.0 + clock.freq as f64 * SCALED_PPM),
        (&MAX_ERROR, clock.maxerror as f64 * MICROS),
        (&ESTIMATED_ERROR, clock.esterror as f64 * MICROS),
        (&STATUS, f64::from(clock.status)),
        (&SYNCED, f64::from(state != TIME_ERROR)),
        (&TIME_CONSTANT, clock.constant as f64),
        (&TICK, clock.tick as f64 * MICROS),
        (&TAI, f64::from(clock.tai)),
        (&PPS_FREQUENCY, clock.ppsfreq as f64 * SCALED_PPM),
        (&PPS_JITTER, clock.jitter as f64 * fraction),
        (&PPS_SHIFT, f64::from(clock.shift)),
        (&PPS_STABILITY, clock.stabil as f64 * SCALED_PPM),
        (&PPS_JITTER_TOTAL, clock.jitcnt as f64),
        (&PPS_CALIBRATION_TOTAL, clock.calcnt as f64),
        (&PPS_ERROR_TOTAL, clock.errcnt as f64),
        (&PPS_STABILITY_TOTAL, clock.stbcnt as f64),
    ];
    for (family, value) in values {
        visit.value(family, value);
    }
    Ok(Found::Seen)
}
