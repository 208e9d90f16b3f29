mod pairs;
mod server;
