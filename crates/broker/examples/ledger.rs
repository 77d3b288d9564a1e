//! A broker with users: `cargo run --example ledger --features ledger`, or
//! with the file of a ledger as its argument. Without one, alice's password is
//! `wonder`, and everybody has the topics below their own name:
//!
//! ```text
//! mosquitto_pub -u alice -P wonder -t users/alice/diary -m hello
//! ```

use latchlight_broker::Broker;
use latchlight_broker::document::{Format, read_str};
use latchlight_broker::ledger::{Ledger, LedgerRules, PasswordHash, User};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ledger = match std::env::args().nth(1) {
        Some(file) => Ledger::load(file)?,
        None => Ledger::new(own_rules()?)?,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:1883")?;
    let broker = Broker::builder().access(ledger.clone()).listener(listener).serve()?;
    println!("listening on {}; Enter reloads the file, Ctrl-D ends it", broker.addresses()[0]);
    for line in std::io::stdin().lines() {
        line?;
        match ledger.reload() {
            Ok(()) => println!("reloaded: {} sessions were not kept", broker.review()),
            Err(error) => eprintln!("the rules stay as they are: {error}"),
        }
    }
    broker.close().await;
    Ok(())
}

fn own_rules() -> Result<LedgerRules, Box<dyn std::error::Error>> {
    let acl = "acl: [{filters: {'users/%u/#': read-write}}]";
    let mut rules: LedgerRules = read_str(acl, Format::Yaml)?;
    let password = Some(PasswordHash::of(b"wonder")?);
    rules.users.insert("alice".to_owned(), User { password, ..User::default() });
    Ok(rules)
}
