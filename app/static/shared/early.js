/* The stored theme, set before anything is painted: a classic script, which the browser runs before it goes on. */

{
  const theme = localStorage.getItem("darkroom-theme");
  if (theme) document.documentElement.dataset.theme = theme;
}
