//! What the configuration says about the MQTT edge.
//!
//! A connection keeps the settings it was accepted under; a change applies to the next ones.

use std::sync::Arc;

use super::users::Users;
use crate::memory::Budget;

/// The settings of one Bridge's MQTT side (`Bridge.spec.mqtt` and `.spec.authentication`).
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bytes of the largest packet that a client may send, announced to 5.0 clients.
    pub max_packet_size: u32,
    /// Clients connected at a time.
    pub max_connections: usize,
    /// QoS 1 publications of one client that may wait for acknowledgement; announced to 5.0 clients as Receive
    /// Maximum, reading stops there for 3.1.1 clients. The same number of deliveries may be unacknowledged by a 3.1.1 client.
    pub receive_maximum: u16,
    /// Deliveries that wait for one slow or busy client; beyond it they are dropped, QoS 0 first, then the oldest.
    pub max_queued_messages: usize,
    /// Bytes of the deliveries that wait for one client, some more for each counted; beyond it they are dropped likewise.
    pub max_queued_bytes: usize,
    /// Memory of the process, which queues share with everybody else.
    pub memory: Arc<Budget>,
    /// Filters that one client may be subscribed to.
    pub max_subscriptions: usize,
    /// Seconds. A 5.0 client that asks for more, or for none, is told to use this.
    pub max_keep_alive: u16,
    /// Levels (parts between slashes) of a topic name or filter.
    pub max_topic_levels: usize,
    /// Whether clients without user name may connect.
    pub anonymous: bool,
    /// Who may connect with user name and password. Without, and with `anonymous`, any user name is taken as it is.
    pub users: Option<Users>,
}

impl Default for Settings {
    /// The defaults of the Bridge resource; nobody may connect until users or `anonymous` are set.
    fn default() -> Self {
        Self {
            max_packet_size: 1024 * 1024,
            max_connections: 100_000,
            receive_maximum: 100,
            max_queued_messages: 1000,
            max_queued_bytes: 16 * 1024 * 1024,
            max_subscriptions: 1000,
            memory: Budget::unlimited(),
            max_keep_alive: 600,
            max_topic_levels: 16,
            anonymous: false,
            users: None,
        }
    }
}
