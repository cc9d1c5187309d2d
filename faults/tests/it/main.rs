//! The judge, tried: it passes a good run, and names what is wrong with each broken one. Pure: no services.

mod good;
mod world;
