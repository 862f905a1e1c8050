//! A real Kubernetes: control plane processes on loopback, `kubectl`, and a node that runs pods as
//! plain processes.
//!
//! * [`control_plane`] starts etcd, the API server and the controller manager, with what
//!   [`credentials`] writes for them;
//! * [`kubectl`] drives the program that users have; [`api`] asks the API server directly where a
//!   test looks at something every few milliseconds;
//! * [`audit`] reads what a client did, from the API server's own log;
//! * [`faults`] stands between a client and the API server and plays the faults of one;
//! * [`namespace`] is where one test lives, [`pod`] what runs there;
//! * [`kubelet`] does for pods what a node would: volumes, processes, probes, status. It has no
//!   containers, no networks and no Services with endpoints behind them;
//! * [`node`] has those: it is a real one, for `make e2e`.

pub mod api;
pub mod audit;
pub mod control_plane;
pub mod credentials;
pub mod faults;
pub mod kubectl;
pub mod kubelet;
pub mod namespace;
pub mod node;
pub mod pod;

pub use self::api::Api;
pub use self::control_plane::ControlPlane;
pub use self::faults::Faults;
pub use self::kubectl::Kubectl;
pub use self::namespace::Namespace;
pub use self::node::Node;
pub use self::pod::Pod;
