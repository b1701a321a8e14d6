mod calls;
mod departures;
