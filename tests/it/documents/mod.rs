//! The documents as people read them: each block of code compiles as it is pasted, and each link leads somewhere.

mod blocks;
mod links;
mod pages;
mod troubleshooting;
