//! The MQTT edge over real sockets, with a client of its own that can also send what no client may.

mod announced;
mod bad_input;
mod client;
mod delivering;
mod edge;
mod publishing;
mod sessions;
