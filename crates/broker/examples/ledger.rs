//! A broker with users and rules that the program makes: alice has a password,
//! and everybody the topics below their own name.
//! `cargo run -p latchlight-broker --example ledger --features ledger -- 127.0.0.1:1883`, and then:
//!
//! ```text
//! mosquitto_sub -u alice -P wonder -t 'users/alice/#' -v &
//! mosquitto_pub -u alice -P wonder -t users/alice/diary -m hello
//! mosquitto_pub -V 5 -q 1 -u alice -P wonder -t users/bob/diary -m hello
//! mosquitto_pub -u alice -P guess -t users/alice/diary -m hello
//! ```

use latchlight_broker::Broker;
use latchlight_broker::ledger::{
    AclRule, Ledger, LedgerRules, PasswordHash, TopicAccess, TopicRule, User,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let listener = std::net::TcpListener::bind(address)?;
    let ledger = Ledger::new(rules()?)?;
    let broker = Broker::builder().access(ledger).listener(listener).serve()?;
    println!("listening on {}; Ctrl-C ends it", broker.addresses()[0]);
    tokio::signal::ctrl_c().await?;
    broker.close().await;
    Ok(())
}

/// What no rule allows is denied.
fn rules() -> Result<LedgerRules, Box<dyn std::error::Error>> {
    let mut rules = LedgerRules::default();
    let password = Some(PasswordHash::of(b"wonder")?);
    rules.users.insert("alice".to_owned(), User { password, ..User::default() });
    let own = TopicRule::try_from("users/%u/#".to_owned())?;
    let filters = [(own, TopicAccess::ReadWrite)].into();
    rules.acl.push(AclRule { filters, ..AclRule::default() });
    Ok(rules)
}
