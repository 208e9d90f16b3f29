//! The documents as people read them: each block of code compiles when it is pasted, and each link has a target.

mod blocks;
mod links;
mod pages;
mod troubleshooting;
