//! One client's connection: a small task that reads, routes, acknowledges and delivers.
//!
//! Owns the socket and the protocol state of one session. The task waits for its socket, for receipts of
//! the client's publications, for deliveries, and for nothing else; every step is taken without an await,
//! so an idle connection holds no buffer. The steps: `handshake` (until CONNACK), `incoming` (packets of
//! the client), `outgoing` (acknowledgements and deliveries), `closing`.

mod admission;
mod buffers;
mod closing;
mod handshake;
mod identifiers;
mod incoming;
mod inflight;
mod member;
mod outgoing;
mod stream;

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::BytesMut;
use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::broker::Broker;
use super::codec;
use super::session::End;
use super::settings::Settings;
use crate::message::{Message, MessageIds, now_millis};
use closing::Cause;
use handshake::Admission;
use incoming::Publishing;
use inflight::Inflight;
use member::Member;
use stream::Stream;

pub(super) use closing::FAREWELL;

/// Unsent bytes beyond which nothing more is read from a peer that does not read from us.
const OUT_LIMIT: usize = 64 * 1024;

/// Serves one accepted socket from CONNECT to its end.
pub(super) async fn run(stream: TcpStream, tls: Option<Arc<ServerConfig>>, peer: SocketAddr, broker: Arc<Broker>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot set TCP_NODELAY");
    }
    // Boxed: a connection needs this state for its first moments only.
    let Some(mut connection) = Box::pin(handshake::shake_hands(stream, tls, peer, &broker)).await else { return };
    drop(broker);
    let cause = connection.serve().await;
    // Boxed: a connection needs this state for its last moments only.
    Box::pin(connection.close(cause)).await;
}

struct Connection {
    stream: Stream,
    member: Member,
    settings: Arc<Settings>,
    ids: MessageIds,
    /// Received and not yet processed: an incomplete packet, or what waits for room in the window.
    tail: BytesMut,
    /// Not yet sent.
    out: BytesMut,
    /// From the first QoS 1 publication on.
    publishing: Option<Box<Publishing>>,
    will: Option<Box<Message>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes of the largest packet that the client takes.
    maximum_packet_size: Option<u32>,
    session_wanted: bool,
    outbox: Outbox,
    /// The tail holds packets that made too much work for one step: goes on when everybody else of this thread has had a turn.
    backlog: bool,
    draining: bool,
    /// Bytes of the unfinished packet in `tail` that have counted as a sign of life.
    credited: usize,
}

/// What the task knows of its session's queue of deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outbox {
    /// Found empty: nothing to fetch before the next wake.
    Empty,
    /// May hold deliveries; those that are left wait for the client.
    Filled,
    /// Holds more than a step may send: goes on when everybody else of this thread has had a turn.
    TurnOver,
}

/// What woke the task.
enum Event {
    /// Bytes arrived.
    Received(BytesMut),
    Lost(Option<io::Error>),
    /// The peer takes bytes again.
    Writable,
    /// Deliveries are queued, or the session shall end.
    Woken,
    /// Receipts of the client's publications were resolved.
    Settled,
    Deadline,
    /// It is the connection's turn again to send deliveries, or to go on with what was received.
    Turn,
}

impl Connection {
    fn new(stream: Stream, broker: Arc<Broker>, settings: Arc<Settings>, admission: Admission, tail: BytesMut) -> Self {
        let Admission { session, will, inflight_limit, maximum_packet_size, session_wanted, connack } = admission;
        broker.counters().accepted.add(1);
        let client_id = &*session.publisher.client_id;
        let peer = || session.publisher.peer.as_ref().map(|peer| &**peer.name());
        tracing::debug!(client_id, peer = peer(), version = ?session.version, "client connected");
        Self {
            stream,
            ids: MessageIds::new(),
            member: Member::new(broker, session, Inflight::new(inflight_limit)),
            settings,
            tail,
            out: connack,
            publishing: None,
            will,
            timer: None,
            maximum_packet_size,
            session_wanted,
            outbox: Outbox::Filled,
            backlog: false,
            draining: false,
            credited: 0,
        }
    }

    /// Serves the client until there is a reason to end.
    async fn serve(&mut self) -> Cause {
        // Taken over before it began: another connection is waiting for the end of this one.
        if let Some(end) = self.member.session.requested_end().filter(|end| *end != End::ShuttingDown) {
            return Cause::End(end);
        }
        // Packets may have come right behind CONNECT.
        let mut step = self.begin();
        loop {
            if let Err(cause) = step {
                return cause;
            }
            if self.turn_is_over() {
                tokio::task::yield_now().await;
            }
            let event = self.next_event().await;
            step = self.step(event);
        }
    }

    /// Whether there is more to do than one step may.
    fn turn_is_over(&self) -> bool {
        self.outbox == Outbox::TurnOver || self.backlog
    }

    fn begin(&mut self) -> Result<(), Cause> {
        let first = std::mem::take(&mut self.tail);
        self.process(first, Instant::now())?;
        self.finish_step()
    }

    fn step(&mut self, event: Event) -> Result<(), Cause> {
        buffers::borrow_write(&mut self.out);
        // Stays so while the packets may not be taken for another reason; then that goes on by itself.
        self.backlog = false;
        match event {
            Event::Received(buffer) => {
                // Read once for all that the buffer brings.
                self.process(buffer, Instant::now())?;
            }
            Event::Lost(error) => return Err(Cause::Lost(error)),
            Event::Writable | Event::Turn => {}
            Event::Woken => {
                self.outbox = Outbox::Filled;
                match self.member.session.requested_end() {
                    Some(End::ShuttingDown) => self.draining = true,
                    Some(end) => return Err(Cause::End(end)),
                    None => {}
                }
            }
            Event::Settled => self.settle()?,
            Event::Deadline => {
                if let Some(publishing) = &mut self.publishing {
                    publishing.window.expire(Instant::now());
                }
                self.settle()?;
            }
        }
        if !self.backlog && !self.tail.is_empty() && self.may_process() {
            let waiting = std::mem::take(&mut self.tail);
            self.process(waiting, Instant::now())?;
        }
        self.finish_step()
    }

    /// Sends what the step produced, sees to the next deadline, and ends a drained connection.
    fn finish_step(&mut self) -> Result<(), Cause> {
        self.send_deliveries()?;
        self.flush()?;
        buffers::return_write(&mut self.out);
        if self.draining {
            let drained = self.publishing.as_ref().is_none_or(|publishing| publishing.window.is_empty());
            let over = self.member.broker.drain_deadline().is_none_or(|deadline| deadline <= Instant::now());
            if drained || over {
                return Err(Cause::End(End::ShuttingDown));
            }
        }
        self.set_timer();
        let (reading, Member { session, broker, .. }) = (self.may_read(), &self.member);
        session.set_listening(reading, || broker.clock(Instant::now()));
        Ok(())
    }

    /// Wakes the task when the first publication runs out of patience, or when draining is over.
    fn set_timer(&mut self) {
        let window = self.publishing.as_ref().and_then(|publishing| publishing.window.next_deadline());
        let drain = self.member.broker.drain_deadline().filter(|_| self.draining);
        let Some(next) = window.into_iter().chain(drain).min().map(tokio::time::Instant::from) else { return };
        match &mut self.timer {
            // It rings too early at worst: most publications are settled before their deadline.
            Some(timer) if timer.deadline() <= next => {}
            Some(timer) => timer.as_mut().reset(next),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(next))),
        }
    }

    fn flush(&mut self) -> Result<(), Cause> {
        let sent = buffers::send(&mut self.stream, &mut self.out)?;
        if sent > 0 {
            self.member.broker.counters().bytes_sent.add(sent as u64);
        }
        Ok(())
    }

    /// Whether the client is listened to: not while it leaves too much unread, has to wait for acknowledgements, or has sent
    /// more than a step may do.
    fn may_read(&self) -> bool {
        self.may_process() && !self.backlog && self.out.len() < OUT_LIMIT
    }

    async fn next_event(&mut self) -> Event {
        let may_read = self.may_read();
        let turn_is_over = self.turn_is_over();
        let Self { stream, member, tail, out, publishing, timer, .. } = self;
        let inbox = publishing.as_ref().map(|publishing| publishing.window.inbox());
        poll_fn(|context| {
            if inbox.is_some_and(|inbox| inbox.poll_resolved(context).is_ready()) {
                return Poll::Ready(Event::Settled);
            }
            if member.session.wake.poll(context).is_ready() {
                return Poll::Ready(Event::Woken);
            }
            if !out.is_empty() || stream.has_unsent() {
                match stream.poll_writable(context) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Event::Writable),
                    Poll::Ready(Err(error)) => return Poll::Ready(Event::Lost(Some(error))),
                    Poll::Pending => {}
                }
            }
            if may_read && let Poll::Ready(received) = buffers::poll_receive(stream, tail, context) {
                return Poll::Ready(match received {
                    Ok((_, 0)) => Event::Lost(None),
                    Ok((buffer, count)) => {
                        member.broker.counters().bytes_received.add(count as u64);
                        Event::Received(buffer)
                    }
                    Err(error) => Event::Lost(Some(error)),
                });
            }
            if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(context).is_ready()) {
                *timer = None;
                return Poll::Ready(Event::Deadline);
            }
            // Last: the client is heard also while there is always something to send to it.
            if turn_is_over { Poll::Ready(Event::Turn) } else { Poll::Pending }
        })
        .await
    }

    async fn close(mut self, cause: Cause) {
        let broker = Arc::clone(&self.member.broker);
        let publisher = Arc::clone(&self.member.session.publisher);
        let version = self.member.session.version;
        cause.log(&publisher.client_id);
        broker.counters().ended(cause.ending());
        let stopping = matches!(cause, Cause::End(End::ShuttingDown));
        self.member.leave(stopping);
        if let (true, Some(publishing)) = (stopping, &self.publishing) {
            broker.left_unacknowledged.add(publishing.window.len() as u64);
        }
        if let Some(mut will) = self.will.take().filter(|_| cause.publishes_will()) {
            will.received_at = now_millis();
            will.id = self.ids.next(will.received_at);
            broker.route.publish(&will, None);
        }
        // Before the farewell: a newcomer does not wait for a peer that does not read.
        self.member.session.left();
        let Self { stream, mut out, maximum_packet_size, .. } = self;
        match cause.violation() {
            Some(violation) => {
                codec::disconnect(&mut out, version, &violation, maximum_packet_size);
                closing::farewell(stream, &out).await;
            }
            // The client goes first and waits for nothing.
            None => drop(stream),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::ingress::{Ingress, Route};
    use crate::message::{Publisher, QoS};
    use crate::mqtt::codec::Encodings;
    use crate::mqtt::session::{Enqueued, Session};
    use crate::mqtt::subscriptions::{self, Subscriptions};
    use crate::receipt::Tracker;

    struct Nowhere;

    impl Route for Nowhere {
        fn publish(&self, _: &Message, _: Option<&mut Tracker<'_>>) {}
    }

    /// A connection of MQTT 3.1.1 that has nothing to say yet, and its client.
    async fn connection(queued: usize) -> (Connection, TcpStream) {
        connection_with(queued, Arc::new(Subscriptions::new()), Arc::new(Nowhere)).await
    }

    async fn connection_with(
        queued: usize,
        subscriptions: Arc<Subscriptions>,
        route: Arc<dyn Route>,
    ) -> (Connection, TcpStream) {
        let broker = Broker::start(Settings::default(), subscriptions, route);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        let publisher = Arc::new(Publisher { client_id: "a".into(), username: None, peer: None });
        let settings = Arc::new(Settings { max_queued_messages: queued, ..Settings::default() });
        let admission = Admission {
            session: Arc::new(Session::new(0, codec::Version::V311, publisher, 0, settings, 0)),
            will: None,
            inflight_limit: 1,
            maximum_packet_size: None,
            session_wanted: false,
            connack: BytesMut::new(),
        };
        let settings = broker.settings();
        (Connection::new(Stream::Plain(socket), broker, settings, admission, BytesMut::new()), client)
    }

    #[tokio::test]
    async fn a_full_outbox_gives_way_to_other_tasks_and_to_what_the_client_says() {
        const STEP: usize = outgoing::ROUNDS * outgoing::FETCH;
        const PING: [u8; 2] = [0xC0, 0];
        // All of it fits into the socket's buffers.
        const QUEUED: usize = 3 * STEP + 1;
        let (mut connection, mut client) = connection(QUEUED).await;
        let (session, broker) = (Arc::clone(&connection.member.session), Arc::clone(&connection.member.broker));
        let message = Message {
            id: MessageIds::new().next(0),
            topic: "t".into(),
            payload: Bytes::new(),
            qos: QoS::AtMostOnce,
            dup: false,
            retain: false,
            publisher: Arc::clone(&session.publisher),
            properties: None,
            received_at: 0,
        };
        let frames = Encodings::new(&message);
        let frame = frames.get(session.version, QoS::AtMostOnce).unwrap();
        for _ in 0..QUEUED {
            assert_eq!(session.enqueue(frame, None, broker.counters()), Enqueued::Queued);
        }
        client.write_all(&PING).await.unwrap();
        connection.stream.tcp().readable().await.unwrap();

        let sent = || broker.counters().deliveries[0].get() as usize;
        let received = || broker.counters().bytes_received.get() as usize;
        let mut serving = Box::pin(connection.serve());
        let mut turn = || assert!(serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        turn();
        assert_eq!((sent(), received()), (STEP, 0), "the first turn");
        turn();
        assert_eq!((sent(), received()), (2 * STEP, 0), "the second, with the call of the first delivery");
        turn();
        assert_eq!((sent(), received()), (3 * STEP, PING.len()), "the third, with the client's PINGREQ");
        turn();
        assert_eq!(sent(), QUEUED, "the last");
    }

    #[tokio::test]
    async fn publications_that_match_many_filters_give_way_to_other_tasks() {
        const LEVELS: u32 = 8;
        const PUBLICATIONS: usize = 200;
        let subscriptions = Arc::new(Subscriptions::new());
        let route = Arc::new(Ingress::new(Arc::clone(&subscriptions)));
        let (mut connection, mut client) = connection_with(PUBLICATIONS, subscriptions, route).await;
        let (session, broker) = (Arc::clone(&connection.member.session), Arc::clone(&connection.member.broker));
        // All combinations of a level and its wildcard.
        for bits in 0..1u32 << LEVELS {
            let levels: Vec<_> = (0..LEVELS).map(|level| if bits >> level & 1 == 1 { "+" } else { "a" }).collect();
            let options = codec::SubscriptionOptions { qos: QoS::AtMostOnce, no_local: false };
            broker.subscriptions.subscribe(&session, &levels.join("/"), options);
        }
        // More than a step may do, as it is counted.
        let each = (2 << LEVELS) - 1 + (1 << LEVELS) + subscriptions::SERVING;
        let step = crate::work::STEP as usize / each + 1;
        assert!(2 * step < PUBLICATIONS && PUBLICATIONS < 12 * step, "{step} publications in a step");

        let topic = ["a"; LEVELS as usize].join("/");
        let mut burst = Vec::new();
        for _ in 0..PUBLICATIONS {
            burst.extend([0x30, 2 + topic.len() as u8, 0, topic.len() as u8]);
            burst.extend(topic.as_bytes());
        }
        burst.extend([0xC0, 0]);
        client.write_all(&burst).await.unwrap();
        connection.stream.tcp().readable().await.unwrap();
        connection.outbox = Outbox::Empty;

        let published = || broker.counters().publishes[0].get() as usize;
        let mut serving = Box::pin(connection.serve());
        let mut turns = 0;
        while published() < PUBLICATIONS {
            let before = published();
            // Pending: the other tasks of the thread have their turn.
            assert!(serving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            let in_this_turn = published() - before;
            assert!(in_this_turn <= step, "{in_this_turn} publications in one turn");
            turns += 1;
            assert!(turns < 100, "{} publications in {turns} turns", published());
        }
        // Everything came, in order, and the client is answered.
        let mut answers = vec![0; burst.len()];
        tokio::select! {
            _ = &mut serving => unreachable!("the client stays"),
            read = client.read_exact(&mut answers) => assert_eq!(read.unwrap(), burst.len()),
        }
        assert!(answers.ends_with(&[0xD0, 0]) || answers.windows(2).any(|pair| pair == [0xD0, 0]));
    }

    /// With the socket's registration, the session and the kernel's side not counted.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let broker = Broker::start(Settings::default(), Arc::new(Subscriptions::new()), Arc::new(Nowhere));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let peer = stream.local_addr().unwrap();
        let size = std::mem::size_of_val(&run(stream, None, peer, broker));
        assert!(size <= 1024, "{size} bytes");
        let session = std::mem::size_of::<Session>();
        assert!(session <= 192, "{session} bytes");
    }
}
