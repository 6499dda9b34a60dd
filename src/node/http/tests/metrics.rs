//! `/metrics`, read as strictly as a scraper reads it.

use std::collections::HashMap;

use super::{ask, get, still};

/// A family of the Prometheus text format: its type, and its samples as written.
type Family = (String, Vec<(String, f64)>);

/// Reads the Prometheus text format, and panics at whatever a scraper would not take.
fn parse(page: &str) -> HashMap<String, Family> {
    assert!(page.ends_with('\n'));
    let mut families: HashMap<String, Family> = HashMap::new();
    let (mut helped, mut current) = (String::new(), String::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.') || help.contains(':') || help.contains('%'), "{line}");
            helped = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, helped, "a TYPE follows its HELP");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            let fresh = families.insert(name.to_owned(), (kind.to_owned(), Vec::new()));
            assert!(fresh.is_none(), "{name} is announced twice");
            current = name.to_owned();
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, _) = series.split_at(series.find('{').unwrap_or(series.len()));
            check_labels(&series[name.len()..]);
            let (kind, samples) = families.get_mut(&current).unwrap();
            let suffixes: &[_] =
                if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            let ours = suffixes.iter().any(|suffix| format!("{current}{suffix}") == name);
            assert!(ours, "{line} stands under {current}");
            assert!(samples.iter().all(|(other, _)| other != series), "{series} stands twice");
            samples.push((series.to_owned(), value.parse().unwrap()));
        }
    }
    families
}

/// `{name="value",…}`, values escaped.
fn check_labels(labels: &str) {
    let Some(inner) = labels.strip_prefix('{') else { return assert_eq!(labels, "") };
    let mut rest = inner.strip_suffix('}').unwrap();
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{labels}");
        let mut escaped = false;
        let end = after.find(|c| {
            assert!(!escaped || matches!(c, '\\' | '"' | 'n'), "{labels}");
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        rest = &after[end.unwrap() + 1..];
        rest = if rest.is_empty() { rest } else { rest.strip_prefix(',').unwrap() };
    }
}

#[tokio::test]
async fn metrics_are_what_prometheus_reads() {
    let (response, page) = ask("GET", "/metrics", &still()).await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let families = parse(&page);
    let value = |family: &str, series: &str| {
        let (_, samples) = &families[family];
        samples.iter().find(|(name, _)| name == series).map(|(_, value)| *value)
    };
    let of = |series: &str| value(series.split('{').next().unwrap(), series);
    assert_eq!(of("broadtape_ready"), Some(1.0));
    assert_eq!(of("broadtape_published_records_total"), Some(42.0));
    let schema = "broadtape_published_schema_records_total{schema=\"mbp-1\"}";
    assert_eq!(of(schema), Some(12.0));
    assert_eq!(of("broadtape_connections{shard=\"1\"}"), Some(7.0));
    assert_eq!(of("broadtape_closes_total{shard=\"0\",reason=\"slow\"}"), Some(1.0));
    let late = "broadtape_latency_out_of_range_total{stage=\"source_to_feed\"}";
    assert_eq!(of(late), Some(5.0));
}

#[tokio::test]
async fn latency_histograms_grow_to_their_count() {
    let families = parse(&get("/metrics").await.1);
    let (_, samples) = &families["broadtape_latency_seconds"];
    let labels = "stage=\"shard_to_kernel\",shard=\"1\"";
    let ours: Vec<_> = samples.iter().filter(|(name, _)| name.contains(labels)).collect();
    let bucket = |le: &str| {
        let end = format!("le=\"{le}\"}}");
        ours.iter().find(|(name, _)| name.ends_with(&end)).unwrap().1
    };
    assert_eq!((bucket("0.000001"), bucket("0.0001"), bucket("0.0002")), (0.0, 0.0, 4.0));
    let buckets: Vec<_> = ours.iter().filter(|(name, _)| name.contains("_bucket")).collect();
    assert!(buckets.is_sorted_by_key(|(_, value)| *value) && buckets.len() == 23);
    let end = |suffix: &str| ours.iter().find(|(name, _)| name.contains(suffix)).unwrap().1;
    assert_eq!((bucket("+Inf"), end("_count"), end("_sum")), (4.0, 4.0, 560_000e-9));
}
