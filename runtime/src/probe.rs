//! `isthmus probe`: asks an HTTP address whether all is well, for images and machines that hold no other client.
//!
//! Blocking, no tokio. It knows nothing about who answers: 200 is well, anything else is not.

use std::thread;
use std::time::{Duration, Instant};

/// One question may take this long.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);
/// What is shown of an answer.
const SHOWN: u64 = 4096;

/// `isthmus probe`
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to ask, such as `http://127.0.0.1:9600/readyz`.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Ask again for this long until all is well.
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub within: isthmus_api::Duration,
}

/// Why all is not well, as the last answer had it.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Another status than 200.
    #[error("{url} answers with {status}: {text}")]
    Refused {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The answer, or the start of it.
        text: String,
    },
    /// No answer.
    #[error("{url} does not answer")]
    Silent {
        /// What was asked.
        url: String,
        /// What the connection says.
        #[source]
        source: Box<ureq::Error>,
    },
}

/// Asks until all is well or the time is over; gives the answer.
pub fn run(args: &Args) -> Result<String, ProbeError> {
    let config = ureq::Agent::config_builder().timeout_global(Some(ASK_TIMEOUT)).http_status_as_error(false);
    let agent: ureq::Agent = config.build().into();
    let deadline = Instant::now() + args.within.get();
    loop {
        match ask(&agent, &args.url) {
            Err(_) if Instant::now() < deadline => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

fn ask(agent: &ureq::Agent, url: &str) -> Result<String, ProbeError> {
    let silent = |source| ProbeError::Silent { url: url.to_owned(), source: Box::new(source) };
    let mut answer = agent.get(url).call().map_err(silent)?;
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(SHOWN).lossy_utf8(true).read_to_string();
    // The status is what was asked for: a body that cannot be read, or is too long to show, does not change it.
    let text = text.unwrap_or_else(|error| error.to_string()).trim_end().to_owned();
    if status == 200 { Ok(text) } else { Err(ProbeError::Refused { url: url.to_owned(), status, text }) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Gives one answer to each of as many connections.
    fn server(answers: &[&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let answers = answers.to_vec();
        thread::spawn(move || {
            for answer in answers {
                let (mut socket, _) = listener.accept().unwrap();
                let _ = socket.read(&mut [0; 4096]).unwrap();
                socket.write_all(answer.as_bytes()).unwrap();
            }
        });
        url
    }

    fn probe(url: String, within: isthmus_api::Duration) -> Result<String, String> {
        run(&Args { url, within }).map_err(|error| error.to_string())
    }

    const WELL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n";
    const UNWELL: &str =
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\nconnection: close\r\n\r\nnot ready: why\n";
    const ONCE: isthmus_api::Duration = isthmus_api::Duration::from_secs(0);

    #[test]
    fn a_good_answer_is_given_back() {
        assert_eq!(probe(server(&[WELL]), ONCE), Ok("ok".to_owned()));
    }

    #[test]
    fn a_bad_answer_is_said_with_its_reason() {
        let url = server(&[UNWELL]);
        assert_eq!(probe(url.clone(), ONCE), Err(format!("{url} answers with 503: not ready: why")));
    }

    #[test]
    fn it_asks_again_until_all_is_well() {
        assert_eq!(probe(server(&[UNWELL, UNWELL, WELL]), isthmus_api::Duration::from_secs(60)), Ok("ok".to_owned()));
    }

    #[test]
    fn nobody_there_is_an_error() {
        let url = "http://127.0.0.1:9/readyz";
        assert_eq!(probe(url.to_owned(), ONCE), Err(format!("{url} does not answer")));
    }
}
