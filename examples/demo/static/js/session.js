// Who is signed in, as far as this page knows. Tells its listener when that changes.

export const session = {
  user: null,
  listener: () => {},
  onLost: () => {},

  set(user) {
    this.user = user;
    this.listener();
  },

  // The server says the session is over.
  lost() {
    this.onLost();
  },

  has(role) {
    return Boolean(this.user?.roles.includes(role));
  },
};
