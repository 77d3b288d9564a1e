//! What actix-web takes by itself: a handler that answers the bytes of `GET /hello`, and nothing
//! around it.
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use clap::Args;

#[derive(Args)]
pub struct BareArgs {
    /// Where to listen, as HOST:PORT
    #[arg(long)]
    listen: String,
}

/// Answers until it is killed.
pub fn run(args: &BareArgs) -> anyhow::Result<()> {
    let app = || App::new().route("/hello", web::get().to(hello));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let server = HttpServer::new(app).workers(workers).bind(&args.listen).context("listen")?;
    actix_web::rt::System::new().block_on(server.run()).context("serve")
}

async fn hello() -> HttpResponse {
    let body = concat!(r#"{"name":"latchlight","version":""#, env!("CARGO_PKG_VERSION"), "\"}\n");
    HttpResponse::Ok().content_type("application/json").body(body)
}
