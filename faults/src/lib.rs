//! A fault harness: clients work over real HTTP and Kafka while processes, Postgres, Kafka and the net between them are
//! broken on purpose; afterwards a judge, which shares no code with the engine, looks at what clients were told, at the
//! log, at Kafka and at the read models, and says which invariant fell.

pub mod chart;
pub mod cluster;
pub mod collect;
pub mod evidence;
pub mod history;
pub mod judge;
pub mod load;
pub mod nemesis;
pub mod proxy;
pub mod report;
pub mod run;
pub mod schedule;
pub mod shop;
mod upgrade;
pub mod workload;
