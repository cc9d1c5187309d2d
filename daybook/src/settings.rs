//! Settings: the command line before the environment before the file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use daybook_bus::BusConfig;
use daybook_log::{Databases, ServiceDatabases};
use serde::Deserialize;

use crate::cli::Global;

/// Something on the command line or in the file is wrong; exit code 2.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// The TOML file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    /// Serves every schema that is not named below.
    database_url: Option<String>,
    kafka: Option<String>,
    kafka_prefix: Option<String>,
    /// Passed to librdkafka as they are, for example security.protocol.
    kafka_properties: BTreeMap<String, String>,
    /// `[services.catalog]`
    services: BTreeMap<String, Service>,
    /// `[read]`
    read: Read,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Service {
    database_url: Option<String>,
    /// `partitions."8-15" = "postgres://…"`
    partitions: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Read {
    database_url: Option<String>,
}

/// What every role needs to know of the world.
pub(crate) struct Settings {
    database_url: Option<String>,
    kafka: Option<String>,
    kafka_prefix: String,
    kafka_properties: BTreeMap<String, String>,
    services: BTreeMap<String, ServiceDatabases>,
    read_url: Option<String>,
}

impl Settings {
    pub(crate) fn read(global: &Global) -> anyhow::Result<Self> {
        let file = read_file(global.config.as_deref())?;
        let services = file
            .services
            .into_iter()
            .map(|(name, service)| {
                let partitions =
                    service.partitions.iter().map(|(range, url)| Ok((range_of(range)?, url.clone()))).collect::<anyhow::Result<_>>()?;
                Ok((name, ServiceDatabases { url: service.database_url, partitions }))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            database_url: global.database_url.clone().or(file.database_url),
            kafka: global.brokers.clone().or(file.kafka),
            kafka_prefix: global.kafka_prefix.clone().or(file.kafka_prefix).unwrap_or_default(),
            kafka_properties: file.kafka_properties,
            services,
            read_url: file.read.database_url,
        })
    }

    /// The map from service and partition to database.
    pub(crate) fn databases(&self) -> anyhow::Result<Databases> {
        let url = self.database_url.as_ref().ok_or_else(|| usage("no database: set --database-url or DAYBOOK_DATABASE_URL"))?;
        let mut databases = Databases::one(url);
        for (name, service) in &self.services {
            databases = databases.with_service(name, service.clone());
        }
        Ok(match &self.read_url {
            Some(url) => databases.with_read(url),
            None => databases,
        })
    }

    pub(crate) fn bus(&self, client_id: &str) -> anyhow::Result<BusConfig> {
        let brokers = self.kafka.as_ref().ok_or_else(|| usage("no Kafka: set --brokers or DAYBOOK_KAFKA"))?;
        let mut bus = BusConfig::new(brokers).with_prefix(&self.kafka_prefix).with_client_id(client_id);
        bus.properties = self.kafka_properties.clone();
        Ok(bus)
    }
}

fn read_file(named: Option<&Path>) -> anyhow::Result<File> {
    let path = match named {
        Some(path) => path,
        None if Path::new("daybook.toml").exists() => Path::new("daybook.toml"),
        None => return Ok(File::default()),
    };
    let source = config::File::from(path).format(config::FileFormat::Toml);
    let read = config::Config::builder().add_source(source).build().and_then(config::Config::try_deserialize);
    read.with_context(|| format!("settings in {}", path.display())).map_err(|e| usage(format!("{e:#}")))
}

/// `8-15`, or `8`.
fn range_of(text: &str) -> anyhow::Result<std::ops::RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        _ => Err(usage(format!("partitions.{text:?} must be a range such as \"8-15\""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_maps_services_partitions_and_read_models_to_their_databases() {
        let dir = std::env::temp_dir().join(format!("daybook-settings-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let path = dir.join("daybook.toml");
        let text = "database_url = \"postgres://d\"\n[services.catalog]\ndatabase_url = \"postgres://c\"\npartitions.\"8-15\" = \"postgres://p\"\n[read]\ndatabase_url = \"postgres://r\"\n";
        std::fs::write(&path, text).expect("a file");
        let file = read_file(Some(&path)).expect("valid");
        assert_eq!(file.services["catalog"].partitions["8-15"], "postgres://p");
        std::fs::write(&path, "databse_url = \"x\"").expect("a file");
        let error = read_file(Some(&path)).expect_err("a misspelt key").to_string();
        assert!(error.contains("databse_url"), "{error}");
        assert_eq!(range_of("8-15").expect("a range"), 8..=15);
        assert!(range_of("9-3").is_err());
    }
}
