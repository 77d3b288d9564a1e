//! What became of plugins and their calls, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{PluginReport, PluginState};

/// From a plugin that answers by itself to one that waits for a device, in
/// seconds.
const BOUNDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What a plugin calls itself; config.json or an owner has let it in by that
/// name, so that there are few.
type Label = [(&'static str, String); 1];

/// How long the calls of each plugin took; what else is counted of a plugin is
/// in its report.
#[derive(Debug)]
pub(super) struct Counts {
    durations: Family<Label, Histogram, fn() -> Histogram>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { durations: Family::new_with_constructor(|| Histogram::new(BOUNDS)) }
    }
}

impl Counts {
    /// How long the calls of the plugin of this name take, in seconds.
    pub(super) fn durations_of(&self, plugin: &str) -> Histogram {
        self.durations.get_or_create_owned(&[("plugin", plugin.to_owned())])
    }

    pub(super) fn register(&self, registry: &mut Registry, reports: &[PluginReport]) {
        let states = Family::<[(&'static str, &'static str); 1], Gauge>::default();
        for state in PluginState::ALL {
            drop(states.get_or_create(&[("state", state.as_str())]));
        }
        let counted: [Family<Label, Counter>; 4] = Default::default();
        for report in reports {
            states.get_or_create(&[("state", report.state.as_str())]).inc();
            let Some(name) = &report.name else { continue };
            let numbers = [report.calls, report.failed, report.panics, report.refused];
            for (family, number) in counted.iter().zip(numbers) {
                family.get_or_create(&[("plugin", name.clone())]).inc_by(number);
            }
        }
        let [calls, failed, panics, refused] = counted;
        registry.register("plugins", "Plugins, by how far they came", states);
        registry.register("plugin_calls", "Calls of a plugin's actions that were begun", calls);
        let help = "Calls that ended in an error, a panic, or not in time";
        registry.register("plugin_calls_failed", help, failed);
        registry.register("plugin_panics", "Calls that panicked", panics);
        let help = "What plugins asked for and are not granted";
        registry.register("plugin_requests_refused", help, refused);
        let help = "How long calls took, without the wait for a place";
        let durations = self.durations.clone();
        registry.register_with_unit("plugin_call_duration", help, Unit::Seconds, durations);
    }
}
